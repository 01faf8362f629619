"""The history of one job: what the clients said, and what the database wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

_LONGEST = 40

_SHORTEST = """
select guilty.job
from (
    select v.job from verdict.version as v where v.job = any (%(jobs)s::uuid[])
    union all
    select o.job from verdict.op as o where o.job = any (%(jobs)s::uuid[])
) as guilty
group by guilty.job
order by count(*)
limit 1
"""

_TOLD = """
select
    (o.t0 - (select min(f.t0) from verdict.op as f)) / 1e6 as began,
    (o.t1 - o.t0) / 1e6 as took,
    o.p, o.f, o.type, o.token, o.code, o.value
from verdict.op as o
where o.job = %(job)s
    or (o.job is null and o.key = (select j.key from verdict.job as j where j.job = %(job)s))
order by o.t0
"""

_WRITTEN = """
select
    v.at::time as at,
    coalesce(v.verb, 'by hand') as verb,
    coalesce(v.was, '-') as was,
    v.status, v.token, v.ticket, v.attempts,
    v.lease_until::time as lease
from verdict.version as v
where v.job = %(job)s
order by v.n
"""


def shortest(db: psycopg.Connection[Any], jobs: Iterable[str]) -> str | None:
    """Returns which of the jobs has the shortest history."""
    row = db.execute(_SHORTEST, {"jobs": list(jobs)}).fetchone()
    return str(row[0]) if row else None


def story(db: psycopg.Connection[Any], job: str) -> list[str]:
    """Returns the lines of a job's history."""
    lines = [f"job {job}", "  what the clients saw (ms since the first line, + how long it took)"]
    for t0, took, p, f, kind, token, code, value in db.execute(_TOLD, {"job": job}):
        end = f"+{took:.3f}" if took is not None else "..."
        words = [f, kind, *_said("token", token), *_said("code", code), *_said("", value or None)]
        lines.append(f"    {t0:12.3f} {end:>9} {p}: {' '.join(words)}")
    lines.append("  what the database wrote")
    for at, verb, was, status, token, ticket, attempts, lease in db.execute(_WRITTEN, {"job": job}):
        words = [
            f"{was} -> {status} by {verb}",
            *_said("token", token),
            *_said("ticket", ticket),
            *_said("attempts", attempts),
            *_said("lease", lease),
        ]
        lines.append(f"    {at} {', '.join(words)}")
    if len(lines) > _LONGEST:
        lines[_LONGEST // 2 : -_LONGEST // 2] = [f"    … {len(lines) - _LONGEST} lines …"]
    return lines


def _said(name: str, value: object) -> list[str]:
    return [] if value is None else [f"{name} {value}".strip()]
