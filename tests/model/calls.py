"""What a call is in the reference model, and a worker's reports on its job.

A call comes in two parts, because it may have to wait: `Call.waits_for` takes the locks that it
needs, one after the other, and says which session holds the next one; once nobody does,
`Call.answer` does the work. A call that waits can be copied, so that one can try what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model import job as becomes
from model.job import Job
from model.state import Queue, Slot

Row = tuple[str | None, ...]
Told = Sequence[Row]
NOTHING: list[Row] = [("",)]
"""What a function returns that returns void."""


class Refused(Exception):
    """A call raises an error with this SQLSTATE, and changes nothing."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class Void(Exception):
    """Nobody can know what comes of these steps, or they would wait for each other for ever."""


@dataclass
class Call:
    """A call of a function."""

    def parameters(self) -> Sequence[Any]:
        """What the statement of this name takes (see `model.statements`)."""
        return [value for name, value in vars(self).items() if not name.startswith("_")]

    def waits_for(self, queue: Queue, session: int) -> int | None:
        """Takes what locks it can; returns the session that it waits for, None if it can go on."""
        return None

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        """Does the work and returns the rows of the answer.

        Args:
            queue: the model.
            session: who calls.
            told: what the database answered: the new ids and tokens are taken from there.
        """
        raise NotImplementedError


@dataclass
class OneJob(Call):
    """A call on one job that waits for whoever holds it, if it sees it in a state it can change.

    Attributes:
        _row: the row that it has decided to lock, by what it saw at first.
    """

    job_id: str
    _row: int | None = field(default=None, init=False)

    def wants(self, job: Job) -> bool:
        """Whether it would lock the job that it sees."""
        raise NotImplementedError

    def waits_for(self, queue: Queue, session: int) -> int | None:
        slot = queue.slot(self.job_id)
        job = slot.seen_by(session)
        if job is None:
            return None
        if self._row is None and self.wants(job):
            self._row = job.row
        return slot.other_holder(session) if job.row == self._row else None

    def locked(self, queue: Queue, session: int) -> tuple[Slot, Job] | None:
        """The job, if it still is what the call wants. It is locked now, whether it is or not."""
        slot = queue.slot(self.job_id)
        job = slot.seen_by(session)
        if job is None or job.row != self._row:
            return None
        queue.lock(slot, session)
        return (slot, job) if self.wants(job) else None


@dataclass
class Report(OneJob):
    """A worker's report on the job that it holds."""

    token: int

    def wants(self, job: Job) -> bool:
        return job.held_by(self.token)

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        found = self.locked(queue, session)
        if found is None:
            return self.unheld(queue.slot(self.job_id).seen_by(session))
        slot, job = found
        after, answer = self.effect(queue, job)
        if after is not job:
            queue.write(slot, session, after)
        return answer

    def unheld(self, job: Job | None) -> list[Row]:
        """What it is told when its token does not hold the job."""
        if job is None:
            raise Refused("RQ001")
        raise Refused("RQ102" if job.token == self.token and not job.live else "RQ101")

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        """What becomes of the job, and the answer."""
        raise NotImplementedError


@dataclass
class Complete(Report):
    """``complete``."""

    result: str

    def unheld(self, job: Job | None) -> list[Row]:
        if job is not None and job.status == "completed" and job.token == self.token:
            return NOTHING
        return super().unheld(job)

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        after = becomes.finished(job, queue.now, "completed", queue.draw, result=self.result)
        return after, NOTHING


@dataclass
class Fail(Report):
    """``fail_with_backoff``; the delay is null where the backoff decides."""

    error: str
    retry: bool
    delay: int | None

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        after = becomes.failed(
            job, queue.now, self.error, queue.draw, retry=self.retry, delay=self.delay
        )
        return after, [(after.status,)]


@dataclass
class Release(Report):
    """``release``."""

    delay: int

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        return becomes.released(job, queue.now, self.delay, queue.draw), NOTHING


@dataclass
class Extend(Report):
    """``extend_lease``."""

    lease: int

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        after = replace(job, lease_until=queue.now + self.lease)
        return after, [("t" if job.cancel_requested_at is None else "f",)]


@dataclass
class Progress(Report):
    """``report_progress``."""

    current: int
    total: int

    def effect(self, queue: Queue, job: Job) -> tuple[Job, list[Row]]:
        go_on: list[Row] = [("t" if job.cancel_requested_at is None else "f",)]
        if job.progress and job.progress[1] == self.total and job.progress[0] > self.current:
            return job, go_on
        return replace(job, progress=(self.current, self.total)), go_on
