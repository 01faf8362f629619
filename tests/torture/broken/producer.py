"""A producer of the small run: it also cancels, and retries what is over."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from support.calls import rows, value
from torture.broken.habits import Habits
from torture.history import History

_TYPES = {"plain": 50, "effect": 40, "flaky": 15, "poison": 3}
_WORKSPACES = (UUID(int=1), UUID(int=2), None)


class Producer:
    """One step at a time, each an operation or two."""

    def __init__(
        self,
        db: psycopg.Connection[Any],
        history: History,
        name: str,
        dice: random.Random,
        habits: Habits,
    ) -> None:
        """Has made nothing yet."""
        self._db = db
        self._history = history
        self._dice = dice
        self._habits = habits
        self._numbers = itertools.count(1)
        self._name = name
        self._known: list[UUID] = []
        self.made = 0

    def step(self) -> None:
        """Does the next thing."""
        steps: dict[Callable[[], None], int] = {
            self._enqueue_many: 30,
            self._enqueue: 20,
            self._race: 25,
            self._take_back: 5,
            self._lose_the_reply: 5,
            self._cancel: 15,
            self._retry: 15,
        }
        [step] = self._dice.choices(list(steps), list(steps.values()))
        with contextlib.suppress(psycopg.errors.DatabaseError):  # the history has it
            step()

    def _draw(self) -> dict[str, Any]:
        dice = self._dice
        [job_type] = dice.choices(list(_TYPES), list(_TYPES.values()))
        job: dict[str, Any] = {
            "job_type": job_type,
            "payload": {"key": f"{self._name} {next(self._numbers)}"},
            "priority": dice.choice((0, 0, 5)),
            "workspace_id": dice.choice(_WORKSPACES),
            # The second crash of a job that is handed out alone is its last, so nobody waits long.
            "max_attempts": 1 if dice.random() < 0.05 else 2,
        }
        if dice.random() < 0.15:
            job["run_after"] = datetime.now(UTC) + timedelta(milliseconds=dice.randrange(20, 300))
        self.made += 1
        return job

    def _enqueue(self) -> None:
        job = self._draw()
        with self._history.call("enqueue", **_said(job)) as call:
            call.reply(job=self._stored(job))

    def _stored(self, job: dict[str, Any]) -> UUID:
        job_id: UUID = value(self._db, "enqueue", **job)
        self._known.append(job_id)
        return job_id

    def _enqueue_many(self) -> None:
        jobs = [self._draw() for _ in range(self._dice.randrange(2, 9))]
        with self._history.call("enqueue_many", items=[_said(job) for job in jobs]) as call:
            plain = [{k: _plain(v) for k, v in job.items() if v is not None} for job in jobs]
            made = rows(self._db, "enqueue_many", jobs=Jsonb(plain))
            call.reply(items=[{"job": one.id} for one in made])

    def _race(self) -> None:
        """Enqueues a key that others use too, in a transaction that takes its time."""
        job = self._draw()
        job.pop("run_after", None)
        job |= {"job_type": "plain", "unique_key": "hot"}
        job["workspace_id"] = _WORKSPACES[self._dice.random() < 0.2]
        undo = self._dice.random() < 0.3
        with self._history.call("enqueue", **_said(job)) as call:
            with self._db.transaction(force_rollback=undo):
                call.reply(job=value(self._db, "enqueue", **job))
                time.sleep(self._dice.random() / 25)
            if undo:
                call.undone()

    def _take_back(self) -> None:
        job = self._draw()
        with self._history.call("enqueue", **_said(job)) as call:
            with self._db.transaction(force_rollback=True):
                value(self._db, "enqueue", **job)
            call.undone()

    def _lose_the_reply(self) -> None:
        job = self._draw()
        with (
            contextlib.suppress(psycopg.OperationalError),
            self._history.call("enqueue", **_said(job)),
        ):
            self._stored(job)
            if self._habits.sends_again:
                self._stored(job)
            raise psycopg.OperationalError("the reply is lost")

    def _cancel(self) -> None:
        if self._known:
            job = self._dice.choice(self._known[-30:])
            for _ in range(self._dice.choice((1, 2))):
                with self._history.call("cancel", job=job):
                    value(self._db, "cancel", job_id=job)

    def _retry(self) -> None:
        if self._known:
            job = self._dice.choice(self._known)
            with self._history.call("retry", job=job):
                rows(self._db, "retry", job_id=job)


def _said(job: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in job.items() if name != "payload" and value is not None}
    return {"key": job["payload"]["key"], **said}


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
