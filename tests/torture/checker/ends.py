"""How jobs end: I-6 final is final, I-7 one effect, I-8 completions stay."""

from torture.checker.check import Check

CHECKS = (
    Check(
        "I-6",
        "a final state is left by retry, by a purge and by hand alone, and completed by no retry",
        """
        select v.job, format('%s -> %s by %s', v.was, v.status, coalesce(v.verb, 'hand'))
        from verdict.version as v
        where v.was in ('completed', 'failed', 'cancelled')
        and not case v.status
            when 'gone' then v.verb is null or v.verb = 'purge_finished'
            else v.was <> 'completed' and (v.verb is null or v.verb = 'retry')
        end
        """,
    ),
    Check(
        "I-7",
        "an effect in the transaction that completes happens exactly once",
        """
        select j.job, format('%s effects, %s completions', coalesce(e.n, 0), coalesce(c.n, 0))
        from verdict.job as j
        left join (
            select e.job, count(*) as n from torture.effects as e group by e.job
        ) as e on e.job = j.job
        left join (
            select l.job, count(*) as n
            from verdict.lease as l
            where l.ended = 'completed'
            group by l.job
        ) as c on c.job = j.job
        where j.job_type like 'effect%' and (coalesce(e.n, 0) <> coalesce(c.n, 0) or e.n > 1)
        """,
    ),
    Check(
        "I-7",
        "an effect was made under the token that completed",
        """
        select e.job, format('its effect was made under token %s, and that lease ended: %s',
            e.token, coalesce(l.ended, 'there was none'))
        from torture.effects as e
        left join verdict.lease as l on l.job = e.job and l.token = e.token
        where l.ended is distinct from 'completed'
        """,
    ),
    Check(
        "I-8",
        "a completion that was acknowledged is stored",
        """
        select o.job,
            format('%s was told that it is completed under token %s, and that lease ended: %s',
                o.p, o.token, coalesce(l.ended, 'there was none'))
        from verdict.accepted as o
        left join verdict.lease as l on l.job = o.job and l.token = o.token
        where o.f in ('complete', 'complete_many') and l.ended is distinct from 'completed'
        """,
    ),
    Check(
        "I-8",
        "what was completed once is completed at the end",
        """
        select l.job,
            format('it was completed under token %s, and is %s now', l.token, j.last_status)
        from verdict.lease as l
        join verdict.job as j on j.job = l.job
        where l.ended = 'completed' and j.last_status not in ('completed', 'gone')
        """,
    ),
    Check(
        "I-8",
        "completing again with the token that completed is no error",
        """
        select o.job,
            format('%s completed it again under token %s, and was told %s', o.p, o.token, o.code)
        from verdict.op as o
        join verdict.lease as l on l.job = o.job and l.token = o.token and l.ended = 'completed'
        join verdict.job as j on j.job = o.job and j.last_status <> 'gone'
        where o.f in ('complete', 'complete_many') and o.code in ('lost', 'RQ001', 'RQ101', 'RQ102')
        """,
    ),
)
