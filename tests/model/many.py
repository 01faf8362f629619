"""The functions that touch many jobs, or none: claims, batches, what is periodic, readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from model import job as becomes
from model.calls import Call, Row, Told, Void
from model.job import Job
from model.state import Queue, Slot


def promote(queue: Queue, session: int, limit: int, told: Sequence[str | None] = ()) -> int:
    """Gives jobs whose time has come their place in line; passes over those that others hold.

    What became due at the same instant comes in any order: it shares a place, and where the limit
    cuts through it, those come first that the database told of.

    Raises:
        Void: and it told of none.
    """
    due = [(slot, job) for slot, job in queue.free_for(session) if job.due(queue.now)]
    due.sort(key=lambda found: (*_by_due_time(found), found[1].id not in told))
    for n, (_, job) in enumerate(due[:limit]):
        alike = due[limit:] and _by_due_time(due[n]) == _by_due_time(due[limit])
        if alike and job.id not in told:
            raise Void
    for _, group in groupby(due[:limit], key=_by_due_time):
        place = queue.draw.place()
        for slot, job in group:
            queue.write(slot, session, replace(job, place=place))
    return len(due[:limit])


def _by_due_time(found: tuple[Slot, Job]) -> tuple[int, int]:
    return -found[1].priority, found[1].run_after


def reap(queue: Queue, session: int) -> list[Row]:
    """Takes stuck jobs back, the oldest claim first; passes over those that others hold."""
    stuck = [(slot, job) for slot, job in queue.free_for(session) if job.stuck(queue.now)]
    stuck.sort(key=lambda found: found[1].token or 0)
    told: list[Row] = []
    for slot, job in stuck:
        after = becomes.reaped(job, queue.now, queue.draw)
        queue.write(slot, session, after)
        told.append((job.id, after.status))
    return told


@dataclass
class Claim(Call):
    """``claim_next``."""

    worker: str
    max_jobs: int
    lease: int

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        told_of = [job_id for job_id, _ in told]
        promote(queue, session, self.max_jobs, told_of)
        jobs = self._jobs(queue, session, told_of)
        tokens = [int(token or 0) for _, token in told]
        in_order = [queue.last_token, *tokens]
        assert in_order == sorted(set(in_order)), "a token that is not new"
        queue.last_token = in_order[-1]
        # Where the database claimed more or fewer, the answers differ anyhow.
        tokens += [0] * (len(jobs) - len(tokens))
        for (slot, job), token in zip(jobs, tokens, strict=False):
            after = becomes.claimed(
                job, queue.now, token, self.worker, self.lease, batch=self.max_jobs
            )
            queue.write(slot, session, after)
        return [(job.id, str(token)) for (_, job), token in zip(jobs, tokens, strict=False)]

    def _jobs(self, queue: Queue, session: int, told: list[str | None]) -> list[tuple[Slot, Job]]:
        """The jobs that it takes. It keeps its locks on those that it looked at and left."""
        taken: list[tuple[Slot, Job]] = []
        for lane in _lanes(queue, session, told):
            free = [(slot, job) for slot, job in lane if slot.other_holder(session) is None]
            looked_at = free[: self.max_jobs - len(taken)]
            for slot, _ in looked_at:
                queue.lock(slot, session)
            found = looked_at[: _until_killer([job for _, job in looked_at], first=not taken)]
            taken += found
            # What may be a killer ends the claim, whether it was taken or would come next.
            if any(job.crashes for _, job in looked_at):
                break
        return taken


def _lanes(queue: Queue, session: int, told: list[str | None]) -> list[list[tuple[Slot, Job]]]:
    """All that stands in line, highest priority first; those that share a place as it was told."""

    def where(found: tuple[Slot, Job]) -> tuple[int, int, int]:
        _, job = found
        assert job.place is not None
        return -job.priority, job.place, told.index(job.id) if job.id in told else len(told)

    line = [found for found in queue.seen_by(session) if found[1].place is not None]
    line.sort(key=where)
    return [list(lane) for _, lane in groupby(line, key=lambda found: found[1].priority)]


def _until_killer(jobs: list[Job], *, first: bool) -> int:
    """How many of the jobs one claim may take: one that has lost a worker is handed out alone."""
    if first and jobs and jobs[0].crashes:
        return 1
    return next((n for n, job in enumerate(jobs) if job.crashes), len(jobs))


@dataclass
class Reap(Call):
    """``reap_stuck``."""

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        return reap(queue, session)


@dataclass
class Tick(Call):
    """``tick``: how many were promoted, reaped, and found below a floor."""

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        promoted = promote(queue, session, len(queue.slots))
        reaped = reap(queue, session)
        return [(str(promoted), str(len(reaped)), "0")]


@dataclass
class Purge(Call):
    """``purge_finished``, of all that finished before this very instant."""

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        old = [
            slot
            for slot, job in queue.free_for(session)
            if job.completed_at is not None and job.completed_at < queue.now
        ]
        for slot in old:
            queue.write(slot, session, None)
        return [(str(len(old)),)]


@dataclass
class Get(Call):
    """``get_job``, of which the status and the number of attempts are looked at."""

    job_id: str

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        job = queue.slot(self.job_id).seen_by(session)
        return [] if job is None else [(job.status, str(job.attempts))]


@dataclass
class Batch(Call):
    """A report on several jobs at once: each is locked in turn, in the order of the ids.

    Attributes:
        _rows: the rows that it has decided to change, by what it saw at first, in their order.
        _done: what came of those that it has changed.
    """

    job_ids: Sequence[str]
    tokens: Sequence[int]
    _rows: list[tuple[str, int]] | None = field(default=None, init=False)
    _done: dict[str, str] = field(default_factory=dict, init=False)

    def effect(self, queue: Queue, job: Job) -> tuple[Job, str]:
        """What becomes of a job that is held, and what is said of it."""
        raise NotImplementedError

    def unheld(self, job: Job | None, token: int) -> str:
        """What is said of a job that is not."""
        return "lost"

    def parameters(self) -> Sequence[Any]:
        arrays = ["{" + ",".join(map(str, array)) + "}" for array in (self.job_ids, self.tokens)]
        return [*arrays, *super().parameters()[2:]]

    def waits_for(self, queue: Queue, session: int) -> int | None:
        asked = dict(zip(self.job_ids, self.tokens, strict=True))
        if self._rows is None:
            seen = {job_id: queue.slot(job_id).seen_by(session) for job_id in sorted(asked)}
            self._rows = [
                (job_id, job.row)
                for job_id, job in seen.items()
                if job and job.held_by(asked[job_id])
            ]
        while self._rows:
            job_id, row = self._rows[0]
            slot = queue.slot(job_id)
            job = slot.seen_by(session)
            if job is not None and job.row == row:
                if (holder := slot.other_holder(session)) is not None:
                    return holder
                queue.lock(slot, session)
                if job.held_by(asked[job_id]):
                    after, outcome = self.effect(queue, job)
                    queue.write(slot, session, after)
                    self._done = {**self._done, job_id: outcome}  # A copy keeps its own.
            self._rows = self._rows[1:]
        return None

    def answer(self, queue: Queue, session: int, told: Told) -> list[Row]:
        return sorted(
            (
                job_id,
                self._done.get(job_id) or self.unheld(queue.slot(job_id).seen_by(session), token),
            )
            for job_id, token in zip(self.job_ids, self.tokens, strict=True)
        )


@dataclass
class CompleteMany(Batch):
    """``complete_many``."""

    def effect(self, queue: Queue, job: Job) -> tuple[Job, str]:
        after = becomes.finished(job, queue.now, "completed", queue.draw, result=None)
        return after, "completed"

    def unheld(self, job: Job | None, token: int) -> str:
        done = job is not None and job.status == "completed" and job.token == token
        return "already" if done else "lost"


@dataclass
class ExtendLeases(Batch):
    """``extend_leases``."""

    lease: int

    def effect(self, queue: Queue, job: Job) -> tuple[Job, str]:
        after = replace(job, lease_until=queue.now + self.lease)
        return after, "extended" if job.cancel_requested_at is None else "cancel"
