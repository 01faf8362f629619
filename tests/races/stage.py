"""A database whose clock stands still, and what it takes to see whether a job is passed by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg

from races.mutation import Edit, Mutation
from support.sessions import Session

Connect = Callable[..., psycopg.Connection[Any]]
OpenSession = Callable[[], Session]

_PATIENT_SWEEP = Mutation(
    "a sweep reaches the bottom, however slow the machine is",
    (Edit("6_maintain/_sweep.sql", "20 milliseconds", "20 seconds"),),
    harmless=True,
)


class Stage:
    """A test's database and the sessions on it.

    The clock is ours, so that nothing becomes due, runs out or is swept unless we say so. It is a
    constant in a function, no row as in `support.clock`: sessions with old snapshots see it too.
    """

    def __init__(self, db: psycopg.Connection[Any], connect: Connect, session: OpenSession) -> None:
        """Stops the clock."""
        self.db = db
        self.connect = connect
        self.session = session
        _PATIENT_SWEEP.apply(db)
        self._now: datetime = self.value("select rowqueue._now()")
        self._began = self._now
        self.pass_time(timedelta(0))

    def value(self, statement: str, *params: Any) -> Any:
        """Returns the only value of a statement's answer."""
        [[value]] = self.db.execute(statement, params).fetchall()
        return value

    def pass_time(self, time: timedelta, *, sweep: bool = False) -> None:
        """Moves the clock. A sweep does not become due by that, unless one is asked for."""
        self._now += time
        self.db.execute(
            "create or replace function rowqueue._now() returns timestamptz "
            f"language sql volatile as $$ select '{self._now.isoformat()}'::timestamptz $$"
        )
        last_sweep = self._now - timedelta(seconds=5 if sweep else 0)
        self.db.execute("select setval('rowqueue.swept_at', rowqueue._epoch_ms(%s))", [last_sweep])

    def later(self, **units: float) -> datetime:
        """An instant that the clock has not reached yet: ``later(seconds=1)``."""
        return self._now + timedelta(**units)

    def tick(self, times: int = 1) -> None:
        """Ticks a number of times, each in a transaction of its own."""
        for _ in range(times):
            self.db.execute("select rowqueue.tick()")

    def work(self, queues: list[str]) -> int:
        """Claims and completes all that can be claimed; returns how many."""
        done = 0
        while jobs := self.db.execute(
            "select id, token from rowqueue.claim_next('diligent', %s, 1000)", [queues]
        ).fetchall():
            self.db.execute(
                "select rowqueue.complete_many(%s, %s)",
                [[job.id for job in jobs], [job.token for job in jobs]],
            )
            done += len(jobs)
        return done

    def settle(self, queues: list[str]) -> set[str]:
        """Lets hours go by and works on all that comes up; returns the types of what is left.

        Nothing is swept meanwhile, so what a floor has passed by is left.
        """
        for _ in range(3):
            self.pass_time(timedelta(hours=1))
            self.tick()
            self.work(queues)
        left = self.db.execute("select job_type from rowqueue.jobs_live")
        return {job.job_type for job in left}

    def sweep(self) -> int:
        """Looks below the floors; returns how many jobs were there."""
        return int(self.value("select rowqueue._sweep()"))

    def floors_are_up(self) -> bool:
        """Whether a few ticks bring all floors above all that has been, after `settle`."""
        self.tick(4)
        return bool(
            self.value(
                """
                select bool_and(l.live_floor > pg_sequence_last_value('rowqueue.tickets'))
                    and (select w.due_floor > %s from rowqueue.watermarks as w)
                from rowqueue._lanes_of(rowqueue._queues()) as l
                """,
                self._began,
            )
        )
