"""The functions by which producers and DBAs ask for something, as the reference model does them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from model import job as becomes
from model.calls import NOTHING, Call, OneJob, Refused, Row, Told
from model.job import Job
from model.state import Queue, Slot


@dataclass
class Cancel(OneJob):
    """``cancel``."""

    reason: str

    def wants(self, job: Job) -> bool:
        return job.live

    def waits_for(self, queue: Queue, session: int) -> int | None:
        job = queue.slot(self.job_id).seen_by(session)
        if job is not None and job.row != self._row:
            self._row = None  # It looks once more.
        return super().waits_for(queue, session)

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        found = self.locked(queue, session)
        if found is None:
            job = queue.slot(self.job_id).seen_by(session)
            if job is None:
                raise Refused("RQ001")
            if job.status != "cancelled":
                raise Refused("RQ102")
            return [("cancelled",)]
        slot, job = found
        if job.status == "running" and job.cancel_requested_at is None:
            after = replace(job, cancel_requested_at=queue.now, cancel_reason=self.reason)
            queue.write(slot, session, after)
            return [("running",)]
        queue.write(slot, session, becomes.cancelled(job, queue.now, queue.draw, self.reason))
        return [("cancelled",)]


@dataclass
class Reset(OneJob):
    """No function, but the UPDATE by which a DBA takes a running job back."""

    def wants(self, job: Job) -> bool:
        return job.status == "running"

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        found = self.locked(queue, session)
        if found is None:
            return []
        queue.write(found[0], session, becomes.reset(found[1], queue.now, queue.draw))
        return [("reset",)]


@dataclass
class Retry(OneJob):
    """``retry``: it takes the job first, then its unique key."""

    _place: int = field(default=0, init=False)

    def wants(self, job: Job) -> bool:
        return job.status in ("failed", "cancelled")

    def waits_for(self, queue: Queue, session: int) -> int | None:
        slot = queue.slot(self.job_id)
        job = slot.seen_by(session)
        if job is not None and job.row != self._row:
            self._row = None  # It looks once more.
        if (holder := super().waits_for(queue, session)) is not None:
            return holder
        found = self.locked(queue, session)
        if found is None:
            return None
        slot.written = True
        self._place = self._place or queue.draw.place()
        key = found[1].unique_key
        return queue.key_contender(session, key, but=self.job_id) if key else None

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        found = self.locked(queue, session)
        if found is None:
            known = queue.slot(self.job_id).seen_by(session)
            raise Refused("RQ001" if known is None else "RQ102")
        slot, job = found
        if job.unique_key and queue.key_holder(session, job.unique_key):
            raise Refused("RQ102")
        queue.write(slot, session, becomes.retried(job, queue.now, self._place, queue.draw))
        return NOTHING


@dataclass
class Enqueue(Call):
    """``enqueue``, of a job that is due at once or after a delay."""

    unique_key: str | None
    priority: int
    max_attempts: int
    timeout: int
    delay: int
    _run_after: int | None = field(default=None, init=False)
    _place: int | None = field(default=None, init=False)

    def waits_for(self, queue: Queue, session: int) -> int | None:
        if self._run_after is None:
            self._run_after = queue.now + self.delay
        if self.unique_key is None or queue.key_holder(session, self.unique_key):
            return None
        if self.delay == 0:
            self._place = queue.draw.place()  # Before it waits, and again when it does once more.
        return queue.key_contender(session, self.unique_key)

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        if self.unique_key and (holder := queue.key_holder(session, self.unique_key)):
            return [(holder.id,)]
        [(job_id,)] = told
        assert job_id is not None
        assert job_id not in queue.slots, "an id that was given out before"
        assert self._run_after is not None
        if self.delay == 0 and self._place is None:
            self._place = queue.draw.place()
        queue.slots[job_id] = Slot()
        job = Job(
            id=job_id,
            row=queue.draw.row(),
            place=self._place,
            run_after=self._run_after,
            priority=self.priority,
            max_attempts=self.max_attempts,
            timeout=self.timeout,
            unique_key=self.unique_key,
        )
        queue.write(queue.slots[job_id], session, job)
        return [(job_id,)]
