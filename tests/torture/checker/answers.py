"""What callers are told: I-22 progress, I-24 errors."""

from torture.checker.check import Check

CHECKS = (
    Check(
        "I-22",
        "within a claim and an unchanged total, progress never goes back",
        """
        select p.job, format('token %s: progress went from %s to %s', p.token, p.before, p.progress)
        from (
            select
                v.job, v.token, v.progress,
                lag(v.progress) over (partition by v.job, v.token order by v.n) as before
            from verdict.version as v
            where v.verb = 'report_progress'
        ) as p
        where p.progress -> 'total' = p.before -> 'total'
        and (p.progress ->> 'current')::numeric < (p.before ->> 'current')::numeric
        """,
    ),
    Check(
        "I-22",
        "a handler's last word on its progress is kept, or a higher one",
        """
        select o.job,
            format('token %s: %s of %s was acknowledged, stored is %s',
                o.token, o.current, o.total, v.progress)
        from (
            select
                o.job, o.token,
                (o.value ->> 'current')::numeric as current,
                (o.value ->> 'total')::numeric as total,
                row_number() over (partition by o.job, o.token order by o.t0 desc) as nth
            from verdict.accepted as o
            where o.f = 'report_progress'
        ) as o
        left join (
            select distinct on (v.job, v.token) v.job, v.token, v.progress
            from verdict.version as v
            where v.verb = 'report_progress'
            order by v.job, v.token, v.n desc
        ) as v on v.job = o.job and v.token = o.token
        where o.nth = 1 and (o.total = (v.progress ->> 'total')::numeric or v.job is null)
        and coalesce((v.progress ->> 'current')::numeric, -1) < round(o.current, 6)
        """,
    ),
    Check(
        "I-24",
        "every error is documented",
        """
        select o.job, format('%s: %s ended with %s', o.p, o.f, o.code)
        from verdict.op as o
        where o.type = 'fail' and o.code not in ('rollback', 'completed', 'already', 'lost')
        and o.f not in ('run', 'effect', 'hand', 'fault', 'migrate')
        and o.code not in (select e.code from rowqueue.error_codes as e)
        -- What the caller sent, what became of its transaction, and what the server lacks.
        and o.code !~ '^(22021|22P02|22P05|25006|25P0[23]|40...|53...|55P03|54000|54001)$'
        """,
    ),
)
