"""Follows jobs as any client may: by asking for them again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from rowqueue import Queue
from rowqueue.jobs import JobRow
from rowqueue.text import clean, counted

Tone = Literal["plain", "trouble", "recovery", "done"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line.

    Attributes:
        at: seconds since the demo began.
        tone: how to take it.
        text: what happened.
    """

    at: float
    tone: Tone
    text: str


@dataclass(slots=True)
class Incident:
    """Something that went wrong with a job.

    Attributes:
        what: ``failed``: an attempt raised an error; ``lost``: its worker died.
        at: seconds since the demo began.
        text: what happened.
        recovered_at: when the next attempt began.
        recovered_by: which worker that runs in.
    """

    what: Literal["failed", "lost"]
    at: float
    text: str
    recovered_at: float | None = None
    recovered_by: str | None = None


@dataclass(slots=True)
class Followed:
    """A job and what has been seen of it.

    Attributes:
        id: the job.
        workspace: the name of its workspace.
        row: how it was when last looked at.
        begun: how many attempts have begun.
        ended: how many have ended badly.
        current: how far the latest attempt has been; a new one begins without progress.
        total: how much there is to do, where that is known.
        message: what it said last.
        incidents: what went wrong with it.
    """

    id: UUID
    workspace: str
    row: JobRow
    begun: int = 0
    ended: int = 0
    current: float = 0
    total: float | None = 1
    message: str = ""
    incidents: list[Incident] = field(default_factory=list)

    @property
    def completed(self) -> bool:
        """Whether it has come to a good end."""
        return self.row.status == "completed"

    @property
    def seconds(self) -> float:
        """How long it took, waiting and failed attempts included."""
        return ((self.row.completed_at or datetime.now(UTC)) - self.row.created_at).total_seconds()

    @property
    def orphaned(self) -> bool:
        """Whether its worker is dead, and the queue does not know yet."""
        lost = any(i.what == "lost" and i.recovered_at is None for i in self.incidents)
        return lost and self.row.status == "running"

    @property
    def lease_left(self) -> float:
        """How many seconds its lease has to run."""
        return _seconds_until(self.row.lease_until)

    @property
    def due_in(self) -> float:
        """How many seconds it has to wait yet for its next attempt."""
        return _seconds_until(self.row.run_after)


class Follower:
    """Looks after the demo's jobs, and tells what happens to them."""

    def __init__(self, queue: Queue, clock: Callable[[], float]) -> None:
        """Follows nothing yet.

        Args:
            queue: where the jobs are.
            clock: tells the seconds since the demo began.
        """
        self.jobs: list[Followed] = []
        self._queue = queue
        self._clock = clock

    def follow(self, job_id: UUID, workspace: str) -> Followed:
        """Follows one more job."""
        self.jobs.append(Followed(job_id, workspace, self._get(job_id)))
        return self.jobs[-1]

    def look(self) -> list[Event]:
        """Looks at the jobs that are not finished, and returns what has happened to them."""
        events: list[Event] = []
        for job in self.jobs:
            if not job.row.finished:
                before, job.row = job.row, self._get(job.id)
                for tone, text in self._changes(job, before):
                    events.append(Event(self._clock(), tone, f"{job.workspace}: {text}"))
                if progress := job.row.progress:
                    job.current, job.total = progress["current"], progress.get("total")
                    job.message = clean(progress.get("message") or "")
        return events

    @property
    def finished(self) -> bool:
        """Whether all jobs have come to an end, good or bad."""
        return all(job.row.finished for job in self.jobs)

    def _get(self, job_id: UUID) -> JobRow:
        row = self._queue.get_job(job_id)
        if row is None:
            raise LookupError(f"job {job_id} has vanished")
        return row

    def _changes(self, job: Followed, before: JobRow) -> Iterator[tuple[Tone, str]]:
        row = job.row
        going_on = row.status in ("running", "completed")
        ended = row.attempts - going_on
        if ended > job.ended:
            job.ended = ended
            yield "trouble", self._end_of_attempt(job, lost=row.crashes > before.crashes)
        if going_on and row.attempts > job.begun:
            job.begun = row.attempts
            yield self._begin_of_attempt(job)
        if row.finished:
            yield ("done" if job.completed else "trouble"), f"{row.status}: {outcome(row)}"

    def _end_of_attempt(self, job: Followed, *, lost: bool) -> str:
        next_one = "" if job.row.finished else f"; next attempt in {job.due_in:.1f} s"
        if lost:
            return f"the lease ran out, its worker is gone{next_one}"
        error = clean(job.row.last_error or "no reason given")
        job.incidents.append(Incident("failed", self._clock(), error))
        return f"attempt {job.ended} failed: {error}{next_one}"

    def _begin_of_attempt(self, job: Followed) -> tuple[Tone, str]:
        worker = job.row.worker or "a worker"
        if job.begun == 1:
            return "plain", f"taken by {worker}"
        job.message = ""
        rescued = False
        for incident in job.incidents:
            if incident.recovered_at is None:
                incident.recovered_at, incident.recovered_by = self._clock(), worker
                rescued = incident.what == "lost"
        verb = "rescued" if rescued else "retried"
        return "recovery", f"{verb}: attempt {job.begun}, taken by {worker}"


def _seconds_until(instant: datetime | None) -> float:
    return max(0.0, (instant - datetime.now(UTC)).total_seconds()) if instant else 0.0


def outcome(row: JobRow) -> str:
    """Returns what came of a finished job, for people."""
    if row.status != "completed":
        return clean(row.error or row.status)
    if row.job_type == "export":
        return f"{counted(row.result['records'], 'record')} in {_file_name(row)}"
    errors = row.result["results"][0]["errors"]
    found = counted(row.result["totalRecords"], "record")
    return f"{found}, {counted(errors, 'error')}" if errors else found


def _file_name(row: JobRow) -> str:
    url: str = row.result["exportUrl"]
    return url.rpartition("/")[2]
