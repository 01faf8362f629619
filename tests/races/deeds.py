"""Everything that draws a ticket or a due time, or claims, for one transaction to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from races.stage import Stage

# By what a bound would have to pass for such a job to be lost, once its transaction commits.
BY_TICKET = frozenset({"due", "first", "released", "reset", "retried", "promoted"})
BY_DUE_TIME = frozenset({"delayed", "failed"})
BY_CLAIM = frozenset({"claimed"})

# No floor rises above what is there. While its transaction is open, a promoted job is seen without
# a ticket, due before the others. So it must not be done together with them, or it would keep them
# from being lost.
GROUPS = (BY_TICKET | BY_DUE_TIME) - {"promoted"}, BY_CLAIM | {"promoted"}


class Deeds:
    """Jobs of some types that wait for something to be done to them.

    A job's type says what will be done to it, and is also the name of its queue. Only the claimed
    one is in another's: it lies ahead of the promoted one, for a claim promotes what it might take.
    """

    def __init__(self, stage: Stage, types: frozenset[str]) -> None:
        """Makes the jobs, and raises the floors as far as they can be."""
        self._stage = stage
        self.types = types
        self._held: dict[str, tuple[Any, int]] = {}
        self._others = ["others"]
        self._open_lanes(*(types - {"first", "claimed"}), "others")
        for held in ("failed", "released", "reset", "retried"):
            if held in types:
                self._held[held] = self._claim(held)
        if "retried" in types:
            stage.db.execute(
                "select rowqueue.fail_with_backoff(%s, %s, 'no', retry => false)",
                self._held["retried"],
            )
        if "promoted" in types:
            self._enqueue("claimed", queue="promoted", priority=5)
            self._enqueue("promoted", delay="10 seconds")
        for _ in range(3):
            stage.pass_time(timedelta(seconds=1))
            self.others_work()

    @property
    def queues(self) -> list[str]:
        """Where the jobs are."""
        return [*self.types, "others"]

    def others_work(self) -> None:
        """Other jobs come and go, and a tick takes note of it."""
        for queue in self._others * 3:
            self._enqueue("others", queue=queue)
        self._stage.work(self._others)
        self._stage.tick()

    def come_due(self) -> None:
        """Lets the job that a claim is to promote become due."""
        self._stage.pass_time(timedelta(seconds=10))

    def do(self, session: psycopg.Connection[Any]) -> None:
        """Does everything, in the session's transaction."""
        enqueue_at = (
            "select rowqueue.enqueue(%(type)s, queue => %(type)s, "
            "run_after => rowqueue._now() + %(delay)s::interval)"
        )
        deeds: dict[str, tuple[str, Any]] = {
            "due": ("select rowqueue.enqueue('due', queue => 'due')", None),
            "first": ("select rowqueue.enqueue('first', queue => 'first')", None),
            "delayed": (enqueue_at, {"type": "delayed", "delay": "1 second"}),
            "promoted": ("select rowqueue.claim_next('doomed', '{promoted}')", None),
            "released": ("select rowqueue.release(%s, %s)", self._held.get("released")),
            "failed": ("select rowqueue.fail_with_backoff(%s, %s, '')", self._held.get("failed")),
            "retried": ("select rowqueue.retry(%s)", self._held.get("retried", ())[:1]),
            "reset": (
                "update rowqueue.jobs set status = 'pending', started_at = null where id = %s",
                self._held.get("reset", ())[:1],
            ),
        }
        for kind in sorted(self.types - {"claimed"}):
            session.execute(*deeds[kind])
        if "first" in self.types:
            # From now on, others use the new lane as well.
            self._others = ["first", "others"]

    def _open_lanes(self, *queues: str) -> None:
        for queue in queues:
            self._enqueue(queue)
        self._stage.tick()
        self._stage.work(list(queues))

    def _enqueue(
        self, kind: str, *, queue: str | None = None, priority: int = 0, delay: str = "0"
    ) -> None:
        self._stage.db.execute(
            "select rowqueue.enqueue(%s, queue => %s, priority => %s, "
            "run_after => rowqueue._now() + %s)",
            [kind, queue or kind, priority, delay],
        )

    def _claim(self, kind: str) -> tuple[Any, int]:
        self._enqueue(kind)
        [(job_id, token)] = self._stage.db.execute(
            "select id, token from rowqueue.claim_next('doomed', %s)", [[kind]]
        )
        return job_id, token
