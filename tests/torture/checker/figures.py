"""What a run amounted to, in numbers that are no verdict."""

from __future__ import annotations

from typing import Any

import psycopg

_COUNTS = """
select
    (select count(*) from verdict.job) as jobs,
    (select count(*) from verdict.lease) as claims,
    (select count(*) from verdict.op as o where o.f = 'run') as runs,
    (select count(*) from torture.effects) as effects,
    (select count(*) from verdict.op) as operations,
    (select count(*) from verdict.version) as versions,
    (select count(*) from verdict.lone_claim) as "claims that met no other",
    (select count(*) from verdict.op as o where o.type = 'info') as "operations in doubt"
"""

_FAULTS = """
select o.key, count(*) from verdict.op as o where o.f = 'fault' group by o.key order by o.key
"""

# Why a job was run again: how the lease of the run before ended.
_RUN_AGAIN = """
select r.ended, count(*)
from (
    select
        case l.ended
            when 'crash' then 'its lease had expired'
            when 'timeout' then 'its time was up'
            when 'failed' then 'the run before had failed'
            when 'released' then 'the run before had been released'
            when 'by hand' then 'it had been reset by hand'
            when 'cancelled' then 'it had been cancelled, and was retried'
            else 'unexplained'
        end as ended,
        lead(o.token) over (partition by o.job order by o.token) as next_token
    from verdict.op as o
    left join verdict.lease as l on l.job = o.job and l.token = o.token
    where o.f = 'run'
) as r
where r.next_token is not null
group by r.ended
order by r.ended
"""

_STATES = "select j.last_status, count(*) from verdict.job as j group by 1 order by 1"


def figures(db: psycopg.Connection[Any]) -> dict[str, dict[str, int]]:
    """Counts what happened: heading, then name and number."""
    cursor = db.execute(_COUNTS)
    names = [column.name for column in cursor.description or ()]
    [counts] = cursor.fetchall()
    return {
        "run": dict(zip(names, counts, strict=True)),
        "jobs ended as": dict(db.execute(_STATES).fetchall()),
        "faults": dict(db.execute(_FAULTS).fetchall()),
        "runs of a job that had run before": dict(db.execute(_RUN_AGAIN).fetchall()),
    }
