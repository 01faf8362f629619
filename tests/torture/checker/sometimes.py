"""What must have happened at least once: a run in which it did not has shown nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

_KILLS = frozenset({"sigkill", "kill_point"})
_CRASHES = frozenset({"postmaster_kill", "immediate_stop", "backend_kill"})
_ALWAYS = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Sometimes:
    """A query that counts how often something happened.

    Attributes:
        name: what.
        needs: the faults of which one brings it about, and without which it is not expected.
        sql: gives the count.
    """

    name: str
    needs: frozenset[str]
    sql: LiteralString

    def count(self, db: psycopg.Connection[Any]) -> int:
        """Returns how often it happened."""
        [(count,)] = db.execute(self.sql).fetchall()
        return int(count)


_KILLED = (
    "(select f.value ->> 'target' from verdict.op as f where f.f = 'fault' and f.key = 'sigkill')"
)

SOMETIMES = (
    Sometimes(
        "a worker was killed between claim and start",
        _KILLS,
        f"""
        select count(*)
        from verdict.op as c
        left join verdict.op as r on r.f = 'run' and r.job = c.job and r.token = c.token
        join verdict.lease as l on l.job = c.job and l.token = c.token
        and l.ended in ('crash', 'timeout')
        where c.f = 'claim_next' and c.type = 'ok' and r.job is null and c.p in {_KILLED}
        """,
    ),
    Sometimes(
        "a worker was killed while a handler ran",
        _KILLS,
        f"""
        select count(*)
        from verdict.op as r
        where r.f = 'run' and r.t1 is null and r.p in {_KILLED}
        """,
    ),
    Sometimes(
        "a worker was killed between effect and completion",
        _KILLS,
        f"""
        select count(*)
        from verdict.op as e
        join verdict.lease as l on l.job = e.job and l.token = e.token and l.ended <> 'completed'
        where e.f = 'effect' and e.p in {_KILLED}
        """,
    ),
    Sometimes(
        "a completion was stored and its reply lost",
        frozenset({"drop_reply", "cut", "terminate_backend", *_KILLS, *_CRASHES}),
        """
        select count(*)
        from verdict.op as o
        join verdict.lease as l on l.job = o.job and l.token = o.token and l.ended = 'completed'
        where o.f in ('complete', 'complete_many') and o.type = 'info'
        """,
    ),
    Sometimes(
        "a late completion was refused",
        frozenset({"sigstop", "blocked_loop", "half_open"}),
        """
        select count(*)
        from verdict.op as o
        join verdict.lease as l on l.job = o.job and l.token = o.token
        and l.ended in ('crash', 'timeout')
        where o.f in ('complete', 'complete_many') and o.code in ('lost', 'RQ101', 'RQ102')
        """,
    ),
    Sometimes(
        "a completion came before the reaper, though the lease was over",
        frozenset({"sigstop", "blocked_loop", "half_open", *_CRASHES}),
        """
        select count(*)
        from verdict.lease as l
        where l.ended = 'completed' and l.end_lease_until <= l.end_called_at
        """,
    ),
    Sometimes(
        "claims met, or a transaction ended with 40001 or 40P01",
        _ALWAYS,
        """
        select count(*)
        from (
            select o.code, o.p <> lag(o.p) over began and o.t0 < lag(o.t1) over began as overlaps
            from verdict.op as o
            where o.f = 'claim_next' or o.code in ('40001', '40P01')
            window began as (order by o.t0)
        ) as o
        where o.overlaps or o.code in ('40001', '40P01')
        """,
    ),
    Sometimes(
        "the database crashed while jobs were claimed",
        _CRASHES,
        """
        select count(distinct f.t0)
        from (
            select c.t1 as t0, e.t1
            from verdict.handed as c
            left join verdict.op as e on e.job = c.job and e.token = c.token and e.type = 'ok'
                and e.f in ('complete', 'complete_many', 'fail_with_backoff', 'release')
        ) as held
        join verdict.op as f on f.f = 'fault' and f.t0 > held.t0
            and f.t0 < coalesce(held.t1, f.t0 + 1)
        where f.key in ('postmaster_kill', 'immediate_stop', 'backend_kill')
        """,
    ),
    Sometimes(
        "an enqueue in doubt was settled by another with the same key",
        frozenset({"drop_reply", "cut", "terminate_backend", *_CRASHES}),
        """
        select count(*)
        from verdict.op as o
        join verdict.op as again on again.value ->> 'resent' = o.key and again.type = 'ok'
        where o.f in ('enqueue', 'enqueue_many') and o.type = 'info'
        """,
    ),
    Sometimes(
        "a job failed because it crashed its worker too often",
        frozenset({"poison"}),
        """
        select count(*)
        from verdict.lease as l
        where l.ended = 'crash' and l.end_status = 'failed'
        """,
    ),
    Sometimes(
        "a lease was extended more than three times",
        _ALWAYS,
        """
        select count(*)
        from (
            select
            from verdict.version as v
            where v.verb in ('extend_lease', 'extend_leases')
            group by v.job, v.token
            having count(*) > 3
        ) as often
        """,
    ),
    Sometimes(
        "an enqueue with a unique key took the place of one that was rolled back meanwhile",
        _ALWAYS,
        """
        select count(*)
        from verdict.op as o
        join verdict.op as w on w.value ->> 'unique_key' = o.value ->> 'unique_key'
            and w.t0 < o.t1 and w.t1 > o.t0 and w.type = 'ok'
        where o.f in ('enqueue', 'enqueue_many') and o.type = 'fail' and o.code = 'rollback'
        """,
    ),
)


_TRACES: dict[str, LiteralString] = {
    "kill_point": "o.f = 'fault' and o.key = 'sigkill' and o.value ? 'point'",
    "migrate": "o.f = 'migrate'",
    "poison": "o.f = 'run' and o.value ->> 'job_type' = 'poison'",
    "purge": "o.f = 'purge_finished'",
    "reset": "o.f = 'hand'",
    "reset_one": "o.f = 'hand'",
    "retry": "o.f = 'retry'",
}
"""Faults of which something else than a line of their own tells."""

_TRACELESS = frozenset({"reindex", "snapshot", "vacuum"})


_FAULTS = "select distinct o.key from verdict.op as o where o.f = 'fault'"


def faults_without_trace(db: psycopg.Connection[Any], asked: frozenset[str]) -> list[str]:
    """Returns the faults that were asked for and of which no history tells."""
    told = {key for (key,) in db.execute(_FAULTS)}
    for fault, trace in _TRACES.items():
        if db.execute(f"select from verdict.op as o where {trace} limit 1").fetchone() is not None:
            told.add(fault)
    return sorted(asked - told - _TRACELESS)
