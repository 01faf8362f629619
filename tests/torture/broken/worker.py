"""A worker of the small run, which does everything that happens to workers."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from support.calls import rows
from torture.broken.habits import Habits
from torture.history import Call, History

_LEASE = 0.25
_EFFECT = "insert into torture.effects (job, token) values (%s, %s)"


class Worker:
    """Claims some jobs and does one of a number of things with them, a step at a time."""

    def __init__(
        self,
        db: psycopg.Connection[Any],
        folder: Path,
        name: str,
        dice: random.Random,
        habits: Habits,
    ) -> None:
        """Begins its first life."""
        self._db = db
        self._folder = folder
        self._name = name
        self._dice = dice
        self._habits = habits
        self._life = 0
        self._late: list[tuple[float, Any]] = []
        self._begin_life()

    def _begin_life(self) -> None:
        self._life += 1
        self._history = History.open(self._folder, f"{self._name}.{self._life}")

    def close(self) -> None:
        """Ends its last life."""
        self._history.close()

    def step(self, *, calm: bool = False) -> None:
        """Reports on what it is late with, or claims and works; once calm, nothing befalls it."""
        now = time.monotonic()
        while self._late and self._late[0][0] < now:
            self._report_late(self._late.pop(0)[1])
        jobs = self._claim()
        if not jobs:
            time.sleep(0.01)
            return
        if calm:
            self._finish(jobs)
            return
        steps: dict[Callable[[list[Any]], None], int] = {
            self._finish: 50,
            self._finish_many: 15,
            self._report_progress: 10,
            self._release: 6,
            # So the one who held it before often comes back while it is held again.
            self._stall: 60 if jobs[0].alone else 12,
            self._die: 4,
        }
        [step] = self._dice.choices(list(steps), list(steps.values()))
        step(jobs)

    def _claim(self) -> list[Any]:
        most = self._dice.choice((1, 2, 5, 20))
        arguments = {"worker": self._name, "max_jobs": most, "lease": f"{_LEASE} s"}
        jobs: list[Any] = []
        with self._refusals_noted("claim_next", max_jobs=most) as call:
            jobs = rows(self._db, "claim_next", **arguments)
            call.reply(items=[{"job": job.id, "token": job.token} for job in jobs])
        return jobs

    @contextlib.contextmanager
    def _refusals_noted(self, f: str, **fields: Any) -> Iterator[Call]:
        with contextlib.suppress(psycopg.Error), self._history.call(f, **fields) as call:
            yield call

    def _call(self, f: str, job: Any, **arguments: Any) -> None:
        with self._refusals_noted(f, job=job.id, token=job.token, **arguments):
            rows(self._db, f, job_id=job.id, token=job.token, **arguments)

    def _run(self, jobs: list[Any]) -> list[Any]:
        """Runs the handlers; returns the jobs to be completed."""
        survivors = []
        for job in jobs:
            neighbour = jobs[0] if self._habits.reads_another else job
            fields = {"key": neighbour.payload.get("key"), "attempts": job.attempts}
            op = self._history.invoke("run", job=job.id, token=job.token, **fields)
            if job.job_type == "poison":
                self._die(jobs)
                return []
            self._history.answer(op, "run", "ok")
            if job.job_type == "flaky" and job.attempts < 2:
                self._fail(job)
            else:
                survivors.append(job)
        return survivors

    def _fail(self, job: Any) -> None:
        after = {"retry_after": "0.02"} if self._dice.random() < 0.9 else {}
        self._call("fail_with_backoff", job, error="not yet", **after)

    def _finish(self, jobs: list[Any]) -> None:
        for job in self._run(jobs):
            self._complete(job)
            if self._dice.random() < 0.1:
                self._call("complete", job)

    def _complete(self, job: Any) -> None:
        """Completes a job, with its effect if it has one; sometimes the reply is lost."""
        try:
            with self._history.call("complete", job=job.id, token=job.token):
                self._complete_unless_refused(job)
                if self._dice.random() < 0.05:
                    raise psycopg.OperationalError("the reply is lost")
        except psycopg.OperationalError:
            if self._habits.runs_twice:
                self._run([job])
            self._call("complete", job)
        except psycopg.Error:
            pass

    def _complete_unless_refused(self, job: Any) -> None:
        try:
            self._complete_with_effect(job)
        except psycopg.Error:
            if not self._habits.ignores_refusals:
                raise

    def _complete_with_effect(self, job: Any) -> None:
        if job.job_type != "effect":
            rows(self._db, "complete", job_id=job.id, token=job.token)
        elif self._habits.effect_apart:
            self._db.execute(_EFFECT, [job.id, job.token])
            rows(self._db, "complete", job_id=job.id, token=job.token)
        else:
            with self._db.transaction():
                self._db.execute(_EFFECT, [job.id, job.token])
                rows(self._db, "complete", job_id=job.id, token=job.token)

    def _finish_many(self, jobs: list[Any]) -> None:
        batch = []
        for job in self._run(jobs):
            if job.job_type == "effect":
                self._complete(job)
            else:
                batch.append(job)
        asked = [{"job": job.id, "token": job.token} for job in batch]
        with self._refusals_noted("complete_many", items=asked) as call:
            ids, tokens = [job.id for job in batch], [job.token for job in batch]
            told = rows(self._db, "complete_many", job_ids=ids, tokens=tokens)
            call.reply(items=[{"job": one.id, "code": one.outcome} for one in told])

    def _report_progress(self, jobs: list[Any]) -> None:
        for job in self._run(jobs[:3]):
            for current in (1, 3, 2):
                self._call("report_progress", job, current=current, total=4)
            self._call("extend_lease", job, lease=f"{_LEASE} s")
            self._complete(job)
        self._release(jobs[3:])

    def _release(self, jobs: list[Any]) -> None:
        for job in jobs:
            self._release_one(job)

    def _release_one(self, job: Any) -> None:
        self._call("release", job)

    def _stall(self, jobs: list[Any]) -> None:
        """Does nothing until the leases are over, and others have the jobs, most likely."""
        for job in jobs:
            late = time.monotonic() + _LEASE * self._dice.uniform(1, 3)
            self._late.append((late, job))
        self._late.sort(key=lambda late: late[0])

    def _report_late(self, job: Any) -> None:
        self._call("report_progress", job, current=9, total=9)
        self._call("extend_lease", job, lease=f"{_LEASE} s")
        [end] = self._dice.choices((self._complete, self._release_one, self._fail), (2, 1, 1))
        end(job)

    def _die(self, jobs: list[Any]) -> None:
        """Dies with some of the jobs in hand, and begins anew."""
        self._late.clear()
        self._history.note("fault", key="sigkill", target=f"{self._name}.{self._life}")
        self._history.close()
        self._begin_life()
