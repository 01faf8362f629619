"""Calls that put jobs into the queue."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, rows, value
from rowqueue.jobs import Enqueued, NewJob


def enqueue(
    job_type: str,
    *,
    payload: Mapping[str, Any] | None = None,
    workspace_id: UUID | str | None = None,
    priority: int | None = None,
    run_after: datetime | None = None,
    max_attempts: int | None = None,
    timeout_ms: int | None = None,
    unique_key: str | None = None,
    queue: str | None = None,
) -> Call[UUID]:
    """Puts one job into the queue; it runs once the transaction commits.

    Args:
        job_type: what to do; it picks the handler.
        payload: what to do it with: up to 1 MiB of what JSON can hold (default: {}).
        workspace_id: the workspace (tenant) that the job belongs to.
        priority: higher runs first, -32768 to 32767 (default: 0).
        run_after: not before this instant; now if left out.
        max_attempts: how many attempts it gets in all, 1 to 1000 (default: 3).
        timeout_ms: how long one attempt may take, in milliseconds, up to a day
            (default: 600000).
        unique_key: at most one pending or running job of a workspace and job type has this key.
        queue: the queue to wait in (default: default).

    Returns:
        The job's id: with a unique_key that is taken, that of the job which holds it.

    Raises:
        InvalidArgument: an argument is out of range.
        NotStorable: the payload is too large or too deep, or holds what JSON cannot.

    SQL: rowqueue.enqueue, - -> pending
    """
    return value(
        UUID,
        "rowqueue.enqueue",
        given(job_type=job_type)
        | optional(
            payload=payload,
            workspace_id=workspace_id,
            priority=priority,
            run_after=run_after,
            max_attempts=max_attempts,
            timeout_ms=timeout_ms,
            unique_key=unique_key,
            queue=queue,
        ),
    )


def enqueue_many(jobs: Iterable[NewJob]) -> Call[list[Enqueued]]:
    """Puts many jobs into the queue: all of them or none.

    Args:
        jobs: up to 100000 mappings whose keys are the arguments of `enqueue`.

    Returns:
        A row for each, in the order given: ordinal (from 1), id, and whether it was created.

    Raises:
        InvalidArgument: an argument is out of range; the message numbers the jobs from 1.
        NotStorable: a payload is too large or too deep, or holds what JSON cannot.

    SQL: rowqueue.enqueue_many, - -> pending
    """
    return rows(Enqueued, "rowqueue.enqueue_many", given(jobs=jobs))
