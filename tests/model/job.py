"""One job, as the reference model sees it, and what may become of it.

No SQL, no locks, no floors: what `docs/transitions.md` and the comments of the functions say.
Instants and durations are whole milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SECOND = 1000
DAY = 86400 * SECOND
FINISHED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A row of ``rowqueue.jobs``.

    Attributes:
        row: which row it is: a job that goes from one room to the other is a new one.
        place: where it stands in line; None while it may not run.
    """

    id: str
    row: int
    place: int | None
    run_after: int
    priority: int = 0
    max_attempts: int = 3
    timeout: int = 600 * SECOND
    unique_key: str | None = None
    status: str = "pending"
    token: int | None = None
    attempts: int = 0
    crashes: int = 0
    uncharged: int = 0
    alone: bool = False
    started_at: int | None = None
    lease_until: int | None = None
    completed_at: int | None = None
    cancel_requested_at: int | None = None
    cancel_reason: str | None = None
    worker: str | None = None
    error: str | None = None
    last_error: str | None = None
    progress: tuple[int, int] | None = None
    result: str | None = None

    @property
    def live(self) -> bool:
        """Whether it is pending or running."""
        return self.status not in FINISHED

    def held_by(self, token: int) -> bool:
        """Whether a worker that names this token may report on it."""
        return self.status == "running" and self.token == token

    def due(self, now: int) -> bool:
        """Whether it waits for a place in line that it may have now."""
        return self.status == "pending" and self.place is None and self.run_after <= now

    def timed_out(self, now: int) -> bool:
        """Whether its attempt took longer than it may."""
        return self.started_at is not None and self.started_at + self.timeout <= now

    def stuck(self, now: int) -> bool:
        """Whether the reaper takes it back."""
        if self.status != "running" or self.lease_until is None:
            return False
        return self.lease_until <= now or self.timed_out(now)


@dataclass(slots=True)
class Numbers:
    """What the database draws from its sequences; what is rolled back is not drawn again."""

    rows: int = 0
    places: int = 0

    def row(self) -> int:
        """The next row."""
        self.rows += 1
        return self.rows

    def place(self) -> int:
        """The end of the line."""
        self.places += 1
        return self.places


def claimed(job: Job, now: int, token: int, worker: str, lease: int, *, batch: int) -> Job:
    """Pending -> running, by a claim of up to `batch` jobs."""
    return replace(
        job,
        status="running",
        place=None,
        token=token,
        attempts=min(job.attempts + 1, job.max_attempts),
        alone=batch == 1 or job.crashes > 0,
        worker=worker,
        started_at=now,
        lease_until=now + lease,
        progress=None,
    )


def finished(
    job: Job, now: int, status: str, draw: Numbers, *, error: str | None = None, result: str | None
) -> Job:
    """Live -> completed, failed or cancelled."""
    return replace(
        job,
        row=draw.row(),
        place=None,
        status=status,
        completed_at=now,
        error=error,
        last_error=error if status == "failed" else job.last_error,
        result=result,
    )


def requeued(job: Job, now: int, delay: int, draw: Numbers) -> Job:
    """Running -> pending, at the end of the line once the delay is over."""
    return replace(
        job,
        status="pending",
        place=None if delay > 0 else draw.place(),
        token=None,
        run_after=now + delay,
        started_at=None,
        lease_until=None,
        worker=None,
    )


def cancelled(job: Job, now: int, draw: Numbers, reason: str | None = None) -> Job:
    """Live -> cancelled."""
    error = reason or job.cancel_reason or "cancelled"
    return finished(job, now, "cancelled", draw, error=error, result=None)


def ended(
    job: Job, now: int, error: str, draw: Numbers, *, retry: bool = True, delay: int | None = None
) -> Job:
    """Running -> pending, failed or cancelled: an attempt that did not complete its job."""
    if job.cancel_requested_at is not None:
        return cancelled(job, now, draw)
    if not retry or job.attempts >= job.max_attempts:
        return finished(job, now, "failed", draw, error=error, result=None)
    backoff = min(SECOND * 2**job.attempts, DAY)
    return requeued(replace(job, last_error=error), now, backoff if delay is None else delay, draw)


def failed(job: Job, now: int, error: str, draw: Numbers, *, retry: bool, delay: int | None) -> Job:
    """What its worker's report of a failure makes of it."""
    after = ended(job, now, error, draw, retry=retry, delay=delay)
    return replace(after, uncharged=0) if after.live else after


def released(job: Job, now: int, delay: int, draw: Numbers) -> Job:
    """Running -> pending, its attempt given back; or cancelled, if somebody asked for that."""
    if job.cancel_requested_at is not None:
        return cancelled(job, now, draw)
    return requeued(replace(job, attempts=job.attempts - 1), now, delay, draw)


def reaped(job: Job, now: int, draw: Numbers) -> Job:
    """What the reaper makes of a stuck job."""
    assert job.started_at is not None
    assert job.lease_until is not None
    if job.timed_out(now) and job.started_at + job.timeout < job.lease_until:
        return ended(job, now, f"timeout: ran longer than {job.timeout} ms", draw)
    crashed = replace(
        job,
        crashes=job.crashes + 1,
        attempts=min(job.attempts + job.uncharged, job.max_attempts)
        if job.alone
        else max(job.attempts - 1, 0),
        uncharged=0 if job.alone else job.uncharged + 1,
    )
    error = f"worker lost: the lease of {job.worker} ran out"
    return ended(crashed, now, error, draw, delay=None if job.alone else 0)


def reset(job: Job, now: int, draw: Numbers) -> Job:
    """Running -> pending, by a DBA's UPDATE, which leaves its attempts as they are."""
    return replace(
        job,
        status="pending",
        place=draw.place() if job.run_after <= now else None,
        token=None,
        started_at=None,
        lease_until=None,
        worker=None,
    )


def retried(job: Job, now: int, place: int, draw: Numbers) -> Job:
    """Failed or cancelled -> pending, its attempts anew."""
    return Job(
        id=job.id,
        row=draw.row(),
        place=place,
        run_after=now,
        priority=job.priority,
        max_attempts=job.max_attempts,
        timeout=job.timeout,
        unique_key=job.unique_key,
        last_error=job.last_error,
    )
