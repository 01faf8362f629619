"""Calls that end an attempt or a job, or begin it anew."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, nothing, rows, value
from rowqueue.jobs import Outcome


def complete(job_id: UUID | str, *, token: int, result: Any = None) -> Call[None]:
    """Completes a running job, together with what else the transaction writes.

    Args:
        job_id: the job.
        token: the token of its claim.
        result: what it came to: up to 1 MiB of what JSON can hold. None stores none.

    Returns:
        Nothing. A second call with the same token changes nothing and is no error.

    Raises:
        LeaseLost: the token no longer holds the job.
        WrongState: the job is finished in another way.
        JobNotFound: there is no such job.
        NotStorable: the result is too large or too deep, or holds what JSON cannot.

    SQL: rowqueue.complete, running -> completed
    """
    return nothing("rowqueue.complete", given(job_id=job_id, token=token) | optional(result=result))


def complete_many(
    job_ids: Sequence[UUID | str],
    *,
    tokens: Sequence[int],
    results: Sequence[Any] | None = None,
) -> Call[list[Outcome]]:
    """Completes many running jobs in one call, together with what else the transaction writes.

    Args:
        job_ids: the jobs, up to 10000.
        tokens: the token of each one's claim, in the same order.
        results: what each came to, in the same order; None for none.

    Returns:
        A row for each job: ``completed``, ``already`` (by an earlier call with this token) or
        ``lost``. A result that the database cannot store fails its job and reads ``lost``.

    Raises:
        InvalidArgument: the lists do not match.
        NotStorable: a result holds what JSON cannot; then nothing has been sent.

    SQL: rowqueue.complete_many, running -> completed
    """
    return rows(
        Outcome,
        "rowqueue.complete_many",
        given(job_ids=job_ids, tokens=tokens) | optional(results=results),
    )


def fail_with_backoff(
    job_id: UUID | str,
    *,
    token: int,
    error: str,
    retry: bool | None = None,
    retry_after: timedelta | None = None,
) -> Call[str]:
    """Ends a failed attempt: the job is tried again 2, 4, 8 … seconds later, or has failed.

    Args:
        job_id: the job.
        token: the token of its claim.
        error: what went wrong; the first 8 KiB are kept, without what Postgres cannot store.
        retry: whether another attempt makes sense (default: true).
        retry_after: how long from now to the next attempt, in place of the backoff.

    Returns:
        The new status: ``pending``, ``failed``, or ``cancelled`` if that had been requested.

    Raises:
        LeaseLost: the token no longer holds the job.
        WrongState: the job is finished.
        JobNotFound: there is no such job.
        InvalidArgument: retry_after is out of range.

    SQL: rowqueue.fail_with_backoff, running -> pending, failed or cancelled
    """
    return value(
        str,
        "rowqueue.fail_with_backoff",
        given(job_id=job_id, token=token, error=error)
        | optional(retry=retry, retry_after=retry_after),
    )


def release(job_id: UUID | str, *, token: int, delay: timedelta | None = None) -> Call[None]:
    """Gives a running job back without using up an attempt.

    Args:
        job_id: the job.
        token: the token of its claim.
        delay: how long until it may be claimed again (default: 0).

    Returns:
        Nothing.

    Raises:
        LeaseLost: the token no longer holds the job.
        WrongState: the job is finished.
        JobNotFound: there is no such job.
        InvalidArgument: the delay is out of range.

    SQL: rowqueue.release, running -> pending, or cancelled if that had been requested
    """
    return nothing("rowqueue.release", given(job_id=job_id, token=token) | optional(delay=delay))


def cancel(job_id: UUID | str, *, reason: str | None = None) -> Call[str]:
    """Cancels a job; one that runs is asked to stop, and a second call cancels it at once.

    Args:
        job_id: the job.
        reason: why, for people to read.

    Returns:
        The status after the call: ``cancelled``, or ``running`` while its worker is to stop.

    Raises:
        WrongState: the job is completed or failed.
        JobNotFound: there is no such job.

    SQL: rowqueue.cancel, pending -> cancelled, running -> running or cancelled
    """
    return value(str, "rowqueue.cancel", given(job_id=job_id) | optional(reason=reason))


def retry(job_id: UUID | str) -> Call[None]:
    """Begins a failed or cancelled job anew, with all its attempts.

    Args:
        job_id: the job.

    Returns:
        Nothing.

    Raises:
        WrongState: the job is in another state.
        JobNotFound: there is no such job.

    SQL: rowqueue.retry, failed or cancelled -> pending
    """
    return nothing("rowqueue.retry", given(job_id=job_id))
