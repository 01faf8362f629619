"""Who holds a job: I-3 one lease, I-4 tokens, I-5 stale writes, I-23 every claim ends."""

from torture.checker.check import Check

CHECKS = (
    Check(
        "I-3",
        "a job is handed out only while nobody holds it",
        """
        select l.job,
            format('token %s was drawn while the job was %s under token %s',
                l.token, l.was, l.was_most_token)
        from verdict.lease as l
        where l.was <> 'pending'
        """,
    ),
    Check(
        "I-3",
        "a lease is ended for being over only once it is",
        """
        select l.job,
            format('token %s: taken back at %s, its lease lasts until %s',
                l.token, l.end_at, l.end_lease_until)
        from verdict.lease as l
        join verdict.job as j on j.job = l.job
        where l.ended in ('crash', 'timeout')
        and l.end_lease_until > greatest(l.end_at, l.end_called_at)
        and l.started_at + j.timeout_ms * interval '1 millisecond'
            > greatest(l.end_at, l.end_called_at)
        """,
    ),
    Check(
        "I-3",
        "a claim's job is run once",
        """
        select o.job, format('it ran %s times under token %s', count(*), o.token)
        from verdict.op as o
        where o.f = 'run'
        group by o.job, o.token
        having count(*) > 1
        """,
    ),
    Check(
        "I-3",
        "a job runs again only because the lease of the run before ended without completing it",
        """
        select r.job,
            format('it ran under token %s and under %s, and the first lease ended: %s',
                r.token, r.next_token, coalesce(l.ended, 'there was none'))
        from (
            select o.job, o.token,
                lead(o.token) over (partition by o.job order by o.token) as next_token
            from verdict.op as o
            where o.f = 'run'
        ) as r
        left join verdict.lease as l on l.job = r.job and l.token = r.token
        where r.next_token is not null
        and coalesce(l.ended, 'none') in ('none', 'completed', 'open', 'unknown')
        """,
    ),
    Check(
        "I-4",
        "the tokens of a job rise",
        """
        select l.job, format('token %s follows token %s', l.token, l.was_most_token)
        from verdict.lease as l
        where l.token <= l.was_most_token
        """,
    ),
    Check(
        "I-4",
        "no token is drawn twice",
        """
        select (array_agg(l.job))[1], format('one of %s claims with token %s', count(*), l.token)
        from verdict.lease as l
        group by l.token
        having count(*) > 1
        """,
    ),
    Check(
        "I-4",
        "no token is handed out twice",
        """
        select o.job, format('token %s was handed to %s', o.token, string_agg(o.p, ' and to '))
        from verdict.handed as o
        group by o.job, o.token
        having count(*) > 1
        """,
    ),
    Check(
        "I-5",
        "who calls after a newer claim has returned is refused",
        """
        select o.job,
            format('%s: %s with token %s was accepted after token %s had been handed to %s',
                o.p, o.f, o.token, c.token, c.p)
        from verdict.accepted as o
        join verdict.handed as c on c.job = o.job and c.token > o.token and c.t1 < o.t0
        """,
    ),
    Check(
        "I-5",
        "an accepted failure or release ended the lease that it named",
        """
        select o.job,
            format('%s: %s with token %s was accepted, and that lease ended otherwise: %s by %s',
                o.p, o.f, o.token, coalesce(l.ended, 'there was none'), l.end_verb)
        from verdict.accepted as o
        left join verdict.lease as l on l.job = o.job and l.token = o.token
        where o.f in ('fail_with_backoff', 'release')
        and l.end_verb is distinct from o.f
        """,
    ),
    Check(
        "I-5",
        "a lease is ended by a call that names its token",
        """
        select l.job,
            format('%s ended the lease of token %s, and nobody called it with this token',
                l.end_verb, l.token)
        from verdict.lease as l
        left join verdict.op as o on o.job = l.job and o.token = l.token and o.f = l.end_verb
        where l.end_verb in ('complete', 'complete_many', 'fail_with_backoff', 'release')
        and o.job is null
        """,
    ),
    Check(
        "I-5",
        "each accepted heartbeat extended the lease that it named",
        """
        select o.job,
            format('token %s: %s heartbeats were accepted, %s were written',
                o.token, o.told, coalesce(v.done, 0))
        from (
            select o.job, o.token, count(*) as told
            from verdict.accepted as o
            where o.f in ('extend_lease', 'extend_leases')
            group by o.job, o.token
        ) as o
        left join (
            select v.job, v.token, count(*) as done
            from verdict.version as v
            where v.verb in ('extend_lease', 'extend_leases')
            group by v.job, v.token
        ) as v on v.job = o.job and v.token = o.token
        where o.told > coalesce(v.done, 0)
        """,
    ),
    Check(
        "I-5",
        "only a running job is reported on",
        """
        select v.job, format('%s wrote to it while it was %s', v.verb, v.was)
        from verdict.version as v
        where v.verb in ('complete', 'complete_many', 'fail_with_backoff', 'release',
            'report_progress', 'extend_lease', 'extend_leases')
        and v.was is distinct from 'running'
        """,
    ),
    Check(
        "I-23",
        "what was handed out had been claimed",
        """
        select o.job, format('%s was given token %s, and no claim with it was stored', o.p, o.token)
        from verdict.handed as o
        left join verdict.lease as l on l.job = o.job and l.token = o.token
        where l.job is null
        """,
    ),
    Check(
        "I-23",
        "each claim ends once the queue is drained",
        """
        select l.job, format('the claim with token %s has not ended', l.token)
        from verdict.lease as l
        where l.ended = 'open' and (select r.drained from verdict.run as r)
        """,
    ),
    Check(
        "I-23",
        "each change is one that the documents know",
        """
        select v.job, format('%s -> %s by %s', coalesce(v.was, '-'), v.status, v.verb)
        from verdict.version as v
        left join verdict.documented as d on d.was = coalesce(v.was, '-') and d.status = v.status
        where v.verb is not null and (d.verbs is null or v.verb <> all (d.verbs))
        """,
    ),
    Check(
        "I-23",
        "tokens that no claim has were drawn by claims that were undone",
        """
        select null::uuid,
            format('%s tokens are missing; claims that were undone and crashes explain %s',
                gaps.n, why.n)
        from (
            select t.last_value - (select count(distinct l.token) from verdict.lease as l) as n
            from rowqueue.tokens as t
            where t.is_called
        ) as gaps
        cross join (
            -- A crash loses what a sequence had logged ahead: 32 values.
            select
                coalesce(sum(case o.f
                    when 'fault' then 33
                    else coalesce((o.value ->> 'max_jobs')::int, 1)
                end), 0) as n
            from verdict.op as o
            where (o.f = 'claim_next' and o.type <> 'ok')
            or (o.f = 'fault' and o.key in ('postmaster_kill', 'immediate_stop', 'backend_kill'))
        ) as why
        where gaps.n > why.n
        """,
    ),
)
