"""The rows that the SQL functions return: field for field the SQL types.

JSON columns come as the text that the database sent (``payload_json``) and are decoded when they
are asked for (``payload``): a document that Python cannot decode spoils nothing but itself, and
who needs exact decimals can decode the text in another way.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Required, TypedDict
from uuid import UUID


class NewJob(TypedDict, total=False):
    """One job for ``enqueue_many``: the arguments of ``enqueue``; only job_type must be given."""

    job_type: Required[str]
    payload: dict[str, Any] | None
    workspace_id: UUID | str | None
    priority: int | None
    run_after: datetime | None
    max_attempts: int | None
    timeout_ms: int | None
    unique_key: str | None
    queue: str | None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of one job of ``enqueue_many``.

    Attributes:
        ordinal: its place among the jobs given, from 1.
        id: the job.
        created: whether the call made it; if not, another job holds its unique_key.
    """

    ordinal: int
    id: UUID
    created: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job of a batch call; which words there are, the call says."""

    id: UUID
    outcome: str


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job as a worker gets it from ``claim_next`` (``rowqueue.claimed_job``)."""

    id: UUID
    token: int
    queue: str
    job_type: str
    workspace_id: UUID | None
    payload_json: str
    priority: int
    attempts: int
    max_attempts: int
    timeout_ms: int
    created_at: datetime
    lease_until: datetime
    alone: bool

    @property
    def payload(self) -> Any:
        """What to do it with, decoded anew at each access.

        Raises:
            ValueError: Python cannot decode it.
        """
        return json.loads(self.payload_json)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in whatever state (``rowqueue.job``); the columns' comments say what each means."""

    id: UUID
    workspace_id: UUID | None
    job_type: str
    status: str
    priority: int
    payload_json: str
    progress_json: str | None
    result_json: str | None
    error: str | None
    last_error: str | None
    attempts: int
    max_attempts: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    run_after: datetime
    timeout_ms: int
    queue: str
    unique_key: str | None
    worker: str | None
    lease_until: datetime | None
    cancel_requested_at: datetime | None
    crashes: int

    @property
    def payload(self) -> Any:
        """What to do it with, decoded anew at each access, as `progress` and `result` are."""
        return json.loads(self.payload_json)

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far it is, ``{"current": n, "total": n, "message": "…"}``, or None."""
        progress: dict[str, Any] | None = _decoded(self.progress_json)
        return progress

    @property
    def result(self) -> Any:
        """What it came to, once completed."""
        return _decoded(self.result_json)

    @property
    def finished(self) -> bool:
        """Whether it is completed, failed or cancelled, and will not change by itself."""
        return self.completed_at is not None


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """The state of one queue (``rowqueue.queue_health``).

    Attributes:
        queue: the queue.
        pending: jobs that wait, due or not.
        due: pending jobs that may run now.
        running: jobs that a worker holds.
        stuck: running jobs whose lease or timeout ran out.
        failed_last_hour: jobs that failed for good in the last hour.
        failure_rate_last_hour: their share of the jobs that completed or failed then, 0 to 1;
            None when there were none.
        oldest_due_age: how long the oldest due job has been due; None when none is.
    """

    queue: str
    pending: int
    due: int
    running: int
    stuck: int
    failed_last_hour: int
    failure_rate_last_hour: Decimal | None
    oldest_due_age: timedelta | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a queue or its database (``rowqueue.finding``).

    Attributes:
        severity: ``error``, ``warning`` or ``notice``.
        name: what was found, in one word for programs.
        what: what was found, and where, for people.
        why: why it matters.
        remedy: SQL that helps; a comment where SQL can't.
    """

    severity: str
    name: str
    what: str
    why: str
    remedy: str


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
