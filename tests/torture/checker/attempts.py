"""How often and when a job is tried: I-9 what counts, I-10 at most so often, I-12 not early."""

from torture.checker.check import Check

CHECKS = (
    Check(
        "I-9",
        "a claim raises attempts by one",
        """
        select l.job,
            format('token %s: attempts went from %s to %s', l.token, l.was_attempts, l.attempts)
        from verdict.lease as l
        join verdict.job as j on j.job = l.job
        -- A last attempt that was reset by hand runs once more.
        where l.attempts <> case
            when j.by_hand then least(l.was_attempts + 1, j.max_attempts)
            else l.was_attempts + 1
        end
        """,
    ),
    Check(
        "I-9",
        "a release, and a crash in the company of others, give the attempt back",
        """
        select l.job,
            format('token %s was %s: attempts went from %s to %s',
                l.token, l.ended, l.attempts, l.end_attempts)
        from verdict.lease as l
        where l.end_status in ('pending', 'failed')
        and (l.ended = 'released' or (l.ended = 'crash' and not l.alone))
        and l.end_attempts <> l.attempts - 1
        """,
    ),
    Check(
        "I-9",
        "whatever else ends an attempt costs it",
        """
        select l.job,
            format('token %s, %s: attempts went from %s to %s',
                l.token, l.ended, l.attempts, l.end_attempts)
        from verdict.lease as l
        where (l.ended in ('failed', 'timeout') and l.end_attempts <> l.attempts)
        or (l.ended = 'crash' and l.alone and l.end_attempts < l.attempts)
        """,
    ),
    Check(
        "I-9",
        "a job fails for good once its attempts are used up, or because its handler said so",
        """
        select l.job, format('it failed with %s of %s attempts', l.end_attempts, j.max_attempts)
        from verdict.lease as l
        join verdict.job as j on j.job = l.job
        where l.end_status = 'failed' and l.end_attempts < j.max_attempts
        and not exists (
            select
            from verdict.op as o
            where o.job = l.job and o.token = l.token and o.f = 'fail_with_backoff'
            and o.value ->> 'retry' = 'false')
        """,
    ),
    Check(
        "I-9",
        "a job that kills its worker each time fails after exactly max_attempts crashes",
        """
        select c.job,
            format('it failed after %s crashes, max_attempts is %s', c.crashes, c.max_attempts)
        from (
            select
                j.job, j.max_attempts,
                count(*) filter (where l.ended in ('crash', 'timeout')) as crashes,
                -- The first is free, if it was in the company of others: of one attempt, two.
                count(*) filter (where l.ended = 'crash' and not l.alone) as free,
                count(*) filter (where l.ended in ('failed', 'by hand', 'cancelled')) as others
            from verdict.job as j
            join verdict.lease as l on l.job = j.job and l.life = j.lives
            where j.job_type like 'poison%' and j.last_status = 'failed' and not j.by_hand
            group by j.job, j.max_attempts
        ) as c
        where c.others = 0 and c.crashes <> greatest(c.max_attempts, 1 + c.free)
        """,
    ),
    Check(
        "I-9",
        "no job fails for a crash that another one of its claim may have caused",
        """
        select l.job,
            format('it failed when the lease of token %s ran out, and was not claimed alone',
                l.token)
        from verdict.lease as l
        where l.ended = 'crash' and l.end_status = 'failed' and not l.alone
        """,
    ),
    Check(
        "I-10",
        "no attempt begins beyond max_attempts",
        """
        select l.job, format('attempt %s of %s began', l.attempts, j.max_attempts)
        from verdict.lease as l
        join verdict.job as j on j.job = l.job
        where l.attempts > j.max_attempts
        """,
    ),
    Check(
        "I-10",
        "no job waits whose attempts are used up",
        """
        select v.job,
            format('%s made it pending with %s of %s attempts', v.verb, v.attempts, j.max_attempts)
        from verdict.version as v
        join verdict.job as j on j.job = v.job
        where v.status = 'pending' and v.attempts >= j.max_attempts and v.verb is not null
        """,
    ),
    Check(
        "I-12",
        "a job gets its place in the order only once it is due",
        """
        select v.job,
            format('%s gave it ticket %s at %s, and it is due at %s',
                v.verb, v.ticket, v.at, v.run_after)
        from verdict.version as v
        where v.status = 'pending' and v.ticket is not null and v.verb is not null
        and v.run_after > greatest(v.at, v.called_at)
        and (not (select r.clock_jumps from verdict.run as r) or v.was is null)
        """,
    ),
    Check(
        "I-12",
        "a job is not claimed before its time",
        """
        select l.job,
            format('token %s: claimed at %s, due at %s', l.token, l.at, l.was_run_after)
        from verdict.lease as l
        where greatest(l.at, l.called_at) < l.was_run_after
        and not (select r.clock_jumps from verdict.run as r)
        """,
    ),
    Check(
        "I-12",
        "the delay before the next attempt is the documented one",
        """
        select d.job,
            format('token %s, %s at %s: due again at %s instead of after %s s',
                d.token, d.ended, d.end_at, d.end_run_after, d.delay)
        from (
            select
                l.*,
                case
                    when l.ended = 'crash' and not l.alone then 0
                    when l.ended = 'released' then coalesce((o.value ->> 'delay')::float8, 0)
                    else coalesce((o.value ->> 'retry_after')::float8,
                        least(2 ^ least(l.end_attempts, 30), 86400))
                end as delay
            from verdict.lease as l
            left join (
                select distinct on (o.job, o.token) o.job, o.token, o.value
                from verdict.op as o
                where o.f in ('fail_with_backoff', 'release') and o.type <> 'fail'
                order by o.job, o.token, o.t0
            ) as o on o.job = l.job and o.token = l.token
            where l.end_status = 'pending' and l.ended in ('crash', 'timeout', 'failed', 'released')
        ) as d
        where d.end_run_after not between
            least(d.end_at, d.end_called_at) + (d.delay - 0.001) * interval '1 second'
            and greatest(d.end_at, d.end_called_at) + (d.delay + 0.001) * interval '1 second'
        """,
    ),
)
