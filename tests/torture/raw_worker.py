"""A worker in plain SQL: batches, single calls, and stale writes on purpose."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from rowqueue import calls, client
from rowqueue.calls import Call
from rowqueue.jobs import ClaimedJob
from torture.line import Left, Line, going_on
from torture.observed import asked, told
from torture.scene import QUEUES, Actor, Part, Scene

_MOST_AT_ONCE = 100
_MOST_HOARDED = 60
_EFFECTS = "insert into torture.effects (job, token) select * from unnest(%s::uuid[], %s::bigint[])"
_IDLE = 0.05
_BRIEFLY = timedelta(milliseconds=100)
_IN_A_TRANSACTION = 0.05

Jobs = Sequence[ClaimedJob]


@dataclass(frozen=True, slots=True)
class _Hoard:
    """Jobs that were not reported on in time."""

    jobs: Jobs
    due: float


class RawWorker(Actor):
    """Claims batches and ends them in one of the ways that there are."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Connects straight to the server, or through the proxy: every second one."""
        super().__init__(scene, part)
        dsn = scene.dsn if part.number % 2 else scene.proxied
        self._line = Line(dsn, f"raw {part.process}", self.leaving)
        self._hoards: list[_Hoard] = []

    def run(self) -> None:
        """Works until SIGTERM."""
        ways: dict[Callable[[Jobs], None], int] = {
            self._finish: 77,
            self._one_by_one: 8,
            self._live_long: 2,
            self._cut_it_fine: 3,
            self._release: 4,
            self._hoard: 6,
        }
        while not self.leaving.is_set():
            self._write_stale()
            jobs: Jobs = []
            with going_on():
                jobs = self._claim()
            if not jobs:
                self.leaving.wait(_IDLE)
                continue
            self.pass_by("claimed")
            foreign = [job for job in jobs if job.job_type == "block"]  # for who has an event loop
            self._release(foreign)
            jobs = [job for job in jobs if job not in foreign]
            if jobs:
                [way] = self.random.choices(list(ways), list(ways.values()))
                with going_on():
                    way(jobs)
        with going_on():
            for hoard in self._hoards:
                for job in hoard.jobs:
                    self._write_one_stale(job)

    def _call(self, call: Call[Any], function: str) -> Any:
        """Executes a call in a transaction of its own, and writes it down."""
        connection = self._line.get()
        with self.history.call(function, **asked(call)) as noted:
            result = client.run(connection, call)
            noted.reply(**told(function, call, result))
        return result

    def _claim(self) -> Jobs:
        most = self.random.choice((1, 10, 50, _MOST_AT_ONCE))
        call = calls.claim_next(
            self.part.process, queues=QUEUES, max_jobs=most, lease=self.scene.lease
        )
        if self.random.random() > _IN_A_TRANSACTION:
            jobs: Jobs = self._call(call, "claim_next")
            return jobs
        return self._claim_in_a_transaction(call)

    def _claim_in_a_transaction(self, call: Call[Any]) -> Jobs:
        """Claims at some isolation level, and may undo it: then the jobs are free again."""
        undo = self.random.random() < 0.5
        connection = self._line.get()
        connection.isolation_level = self.random.choice(list(psycopg.IsolationLevel))
        try:
            with self.history.call("claim_next", **asked(call)) as noted:
                with connection.transaction(force_rollback=undo):
                    jobs: Jobs = client.run(connection, call)
                    self.leaving.wait(self.random.choice((0, 0.05)))
                noted.reply(**told("claim_next", call, jobs))
                if undo:
                    noted.undone()
        finally:
            connection.isolation_level = None
        return [] if undo else jobs

    def _start(self, job: ClaimedJob) -> int:
        number = self.history.invoke(
            "run",
            job=job.id,
            token=job.token,
            key=job.payload.get("key"),
            job_type=job.job_type,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
        )
        if job.job_type == "poison":
            self.die("poison")
        return number

    def _run_all(self, jobs: Jobs) -> None:
        for job in jobs:
            number = self._start(job)
            self.pass_by("running")
            self.history.answer(number, "run", "ok")

    def _finish(self, jobs: Jobs) -> None:
        """Completes what can be, those with an effect in the transaction that holds it."""
        self._run_all(jobs)
        failing = [job for job in jobs if _fails(job)]
        with_effect = [job for job in jobs if job.job_type.startswith("effect")]
        plain = [job for job in jobs if job not in failing and job not in with_effect]
        if with_effect:
            self._complete_with_effect(with_effect)
        if plain:
            self._complete_many(plain)
        for job in failing:
            self._fail(job)

    def _complete_many(self, jobs: Jobs) -> None:
        call = calls.complete_many([job.id for job in jobs], tokens=[job.token for job in jobs])
        if self.meets_its_end("sent"):
            self.history.invoke("complete_many", **asked(call))
            connection = self._line.get()
            connection.execute("begin")
            client.run(connection, call)
            self.die_committing(connection.pgconn)
        self._call(call, "complete_many")

    def _complete_with_effect(self, jobs: Jobs) -> None:
        """One transaction for all effects and completions: it is kept if none was lost."""
        while jobs:
            call = calls.complete_many([job.id for job in jobs], tokens=[job.token for job in jobs])
            connection = self._line.get()
            with (
                contextlib.suppress(psycopg.Rollback),  # it comes through if the rollback fails
                self.history.call("complete_many", **asked(call)) as noted,
                connection.transaction(),
            ):
                connection.execute(
                    _EFFECTS, [[job.id for job in jobs], [job.token for job in jobs]]
                )
                self.history.note(
                    "effect", items=[{"job": job.id, "token": job.token} for job in jobs]
                )
                self.pass_by("effect")
                outcomes = client.run(connection, call)
                noted.reply(**told("complete_many", call, outcomes))
                lost = {one.id for one in outcomes if one.outcome != "completed"}
                if lost:
                    noted.undone()
                    raise psycopg.Rollback
                if self.meets_its_end("sent"):
                    self.die_committing(connection.pgconn)
            if not lost:
                return
            jobs = [job for job in jobs if job.id not in lost]

    def _one_by_one(self, jobs: Jobs) -> None:
        """Uses the single forms, with progress and heartbeats between."""
        for job in jobs[:20]:
            self._run_all([job])
            if self.random.random() < 0.3:
                with going_on():
                    self._call(
                        calls.report_progress(job.id, token=job.token, current=1, total=2),
                        "report_progress",
                    )
            if self.random.random() < 0.3:
                with going_on():
                    self._extend([job])
            with going_on():
                if _fails(job):
                    self._fail(job)
                elif job.job_type.startswith("effect"):
                    self._complete_with_effect([job])
                else:
                    self._call(calls.complete(job.id, token=job.token), "complete")
        self._release(jobs[20:])

    def _live_long(self, jobs: Jobs) -> None:
        """Keeps a batch alive by heartbeats before it completes it."""
        beats = self.random.randint(4, 6)
        for _ in range(beats):
            self.leaving.wait(self.scene.lease.total_seconds() / 4)
            self._extend(jobs)
        self._finish(jobs)

    def _cut_it_fine(self, jobs: Jobs) -> None:
        """Completes a batch when its lease has just run out: before the reaper comes, or after."""
        self._extend(jobs, _BRIEFLY)
        self.leaving.wait(_BRIEFLY.total_seconds() + self.random.uniform(0, 0.1))
        self._finish(jobs)

    def _extend(self, jobs: Jobs, lease: timedelta | None = None) -> None:
        call = calls.extend_leases(
            [job.id for job in jobs],
            tokens=[job.token for job in jobs],
            lease=lease or self.scene.lease,
        )
        self._call(call, "extend_leases")

    def _release(self, jobs: Jobs) -> None:
        """Gives jobs back that have not started."""
        for job in jobs:
            delay = timedelta(seconds=self.random.choice((0, 0, 0.3)))
            with going_on():
                self._call(calls.release(job.id, token=job.token, delay=delay), "release")

    def _fail(self, job: ClaimedJob) -> None:
        with going_on():
            call = calls.fail_with_backoff(job.id, token=job.token, error="failed as it should")
            self._call(call, "fail_with_backoff")

    def _hoard(self, jobs: Jobs) -> None:
        """Sits on some jobs until their leases have run out; the others are done."""
        kept = [job for job in jobs if not job.job_type.startswith("effect")][:_MOST_HOARDED]
        others = [job for job in jobs if job not in kept]
        for job in kept:
            self._start(job)
        late = self.scene.lease.total_seconds() + self.random.uniform(0.2, 2)
        self._hoards.append(_Hoard(kept, time.monotonic() + late))
        if others:
            self._finish(others)

    def _write_stale(self) -> None:
        """Reports on jobs whose leases have run out since."""
        now = time.monotonic()
        due = [hoard for hoard in self._hoards if hoard.due <= now]
        self._hoards = [hoard for hoard in self._hoards if hoard.due > now]
        for hoard in due:
            if self.random.random() < 0.5:
                with going_on():
                    self._complete_many(hoard.jobs)
            else:
                for job in hoard.jobs:
                    with going_on():
                        self._write_one_stale(job)

    def _write_one_stale(self, job: ClaimedJob) -> None:
        id, token = job.id, job.token
        function, call = self.random.choice(
            (
                ("complete", calls.complete(id, token=token)),
                ("fail_with_backoff", calls.fail_with_backoff(id, token=token, error="too late")),
                ("release", calls.release(id, token=token)),
                ("report_progress", calls.report_progress(id, token=token, current=9, total=9)),
                ("extend_lease", calls.extend_lease(id, token=token, lease=self.scene.lease)),
            )
        )
        self._call(call, function)


def _fails(job: ClaimedJob) -> bool:
    match job.job_type:
        case "doomed" | "timeout":
            return True
        case "flaky":
            return bool(job.attempts <= job.payload["fails"])
        case _:
            return False


def play(scene: Scene, part: Part) -> None:
    """Runs a raw worker's life."""
    with contextlib.suppress(Left):
        RawWorker(scene, part).run()
