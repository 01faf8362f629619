"""Calls about a job that runs."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, rows, value
from rowqueue.jobs import Outcome


def report_progress(
    job_id: UUID | str,
    *,
    token: int,
    current: int | float | Decimal,
    total: int | float | Decimal | None = None,
    message: str | None = None,
) -> Call[bool]:
    """Notes how far a running job is. It does not extend the lease.

    Args:
        job_id: the job.
        token: the token of its claim.
        current: how much is done, 0 to 1e15, in any unit.
        total: how much there is to do, in the same unit; left out while it is not known.
        message: what is being done; the first 1024 bytes are kept.

    Returns:
        True: go on. False: a cancellation was requested, stop soon.

    Raises:
        LeaseLost: the token no longer holds the job.
        WrongState: the job is finished.
        JobNotFound: there is no such job.
        InvalidArgument: a number is out of range.

    SQL: rowqueue.report_progress, running -> running
    """
    return value(
        bool,
        "rowqueue.report_progress",
        given(job_id=job_id, token=token, current=current) | optional(total=total, message=message),
    )


def extend_lease(job_id: UUID | str, *, token: int, lease: timedelta | None = None) -> Call[bool]:
    """Extends the lease on a running job: the heartbeat of a worker.

    Args:
        job_id: the job.
        token: the token of its claim.
        lease: how long from now, 100 ms to a day (default: 1 minute).

    Returns:
        True: go on. False: a cancellation was requested, stop soon.

    Raises:
        LeaseLost: the token no longer holds the job.
        WrongState: the job is finished.
        JobNotFound: there is no such job.
        InvalidArgument: the lease is out of range.

    SQL: rowqueue.extend_lease, running -> running
    """
    return value(
        bool, "rowqueue.extend_lease", given(job_id=job_id, token=token) | optional(lease=lease)
    )


def extend_leases(
    job_ids: Sequence[UUID | str], *, tokens: Sequence[int], lease: timedelta | None = None
) -> Call[list[Outcome]]:
    """Extends the leases on many running jobs in one call.

    Args:
        job_ids: the jobs.
        tokens: the token of each one's claim, in the same order.
        lease: how long from now, 100 ms to a day (default: 1 minute).

    Returns:
        A row for each job: ``extended``, ``cancel`` (extended, but stop soon) or ``lost``.

    Raises:
        InvalidArgument: the lists do not match, or the lease is out of range.

    SQL: rowqueue.extend_leases, running -> running
    """
    return rows(
        Outcome,
        "rowqueue.extend_leases",
        given(job_ids=job_ids, tokens=tokens) | optional(lease=lease),
    )
