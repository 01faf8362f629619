"""A run by hand: what a test does to a queue, and what it says that it did."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from support.calls import rows, value
from torture.checker import Facts, Verdict, install, judge
from torture.checker.check import Check
from torture.history import History

Session = psycopg.Connection[Any]


class Play:
    """Calls functions of the queue and writes down what it did; what is said can also be a lie.

    Attributes:
        db: a session, for crimes.
        history: the history of the only process there is.
    """

    def __init__(self, db: Session, folder: Path) -> None:
        """Starts the flight recorder."""
        self.db = db
        self.history = History.open(folder, "hero")
        self._folder = folder
        self._keys = (f"key {n}" for n in itertools.count(1))
        install(db)

    def enqueue(self, job_type: str = "plain", **arguments: Any) -> UUID:
        """Enqueues a job."""
        key = next(self._keys)
        with self.history.call("enqueue", key=key, **arguments) as call:
            job: UUID = self.enqueue_unsaid(job_type, key=key, **arguments)
            call.reply(job=job)
        return job

    def enqueue_unsaid(self, job_type: str = "plain", *, key: str, **arguments: Any) -> UUID:
        """Enqueues a job, and does not say so."""
        job: UUID = value(self.db, "enqueue", job_type=job_type, payload={"key": key}, **arguments)
        return job

    def claim(self, max_jobs: int = 1, **arguments: Any) -> list[Any]:
        """Claims jobs."""
        with self.history.call("claim_next", max_jobs=max_jobs) as call:
            jobs = rows(self.db, "claim_next", worker="hero", max_jobs=max_jobs, **arguments)
            call.reply(items=[{"job": job.id, "token": job.token} for job in jobs])
        return jobs

    def claimed(self, job_type: str = "plain", **arguments: Any) -> Any:
        """Enqueues a job and claims it."""
        self.enqueue(job_type, **arguments)
        [job] = self.claim()
        return job

    def run(self, job: Any) -> None:
        """Runs a claimed job's handler."""
        fields = {"attempts": job.attempts, "key": job.payload["key"], "job_type": job.job_type}
        with self.history.call("run", job=job.id, token=job.token, **fields):
            pass

    def report(self, function: str, job: Any, **arguments: Any) -> Any:
        """Calls a function that names a job and its token."""
        with self.history.call(function, job=job.id, token=job.token, **arguments):
            return rows(self.db, function, job_id=job.id, token=job.token, **arguments)

    def complete(self, job: Any) -> None:
        """Completes a claimed job."""
        self.report("complete", job)

    def change(self, job: UUID, verb: str | None, assignments: str) -> None:
        """Updates a job's row, as though a function had done it; by hand, if none is named."""
        claims_to_be = f"/* rowqueue.{verb}( */ " if verb else ""
        self.db.execute(
            f"{claims_to_be}update rowqueue.jobs set {assignments} where id = %s".encode(), [job]
        )

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Keeps from the flight recorder what is done meanwhile."""
        self.db.execute("set session_replication_role = replica")
        yield
        self.db.execute("reset session_replication_role")

    def refused(self, f: str, code: str, job: Any = None) -> None:
        """Says that a call was refused."""
        told = {} if job is None else {"job": job.id, "token": job.token}
        self.history.answer(self.history.invoke(f, **told), f, "fail", code=code)

    def judge(self, *checks: Check, **facts: Any) -> Verdict:
        """Judges what is there, by all checks if none is named."""
        Facts(**facts).write(self._folder)
        return judge(self.db, self._folder, **({"checks": checks} if checks else {}))
