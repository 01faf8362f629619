"""Calls with which a worker gets jobs."""

from collections.abc import Sequence
from datetime import timedelta

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, rows, value
from rowqueue.jobs import ClaimedJob


def claim_next(
    worker: str,
    *,
    queues: Sequence[str] | None = None,
    max_jobs: int | None = None,
    lease: timedelta | None = None,
) -> Call[list[ClaimedJob]]:
    """Takes due jobs for a worker: highest priority first, then first come, first served.

    Args:
        worker: a name for who works on them, for people to read.
        queues: the queues to look into (default: {default}).
        max_jobs: how many at most, 1 to 1000 (default: 1).
        lease: how long they are held without a heartbeat, 100 ms to a day (default: 1 minute).

    Returns:
        The jobs, each with a fresh token, which every report on it must name. It never waits
        for another worker, so it may return fewer than there are.

    Raises:
        InvalidArgument: an argument is out of range.

    SQL: rowqueue.claim_next, pending -> running
    """
    return rows(
        ClaimedJob,
        "rowqueue.claim_next",
        given(worker=worker) | optional(queues=queues, max_jobs=max_jobs, lease=lease),
    )


def mark_idle() -> Call[bool]:
    """Says that a worker found nothing to do and waits on channel ``rowqueue``.

    Returns:
        True: the next enqueue sends a notification. False: notifications are switched off.

    SQL: rowqueue.mark_idle, changes no job
    """
    return value(bool, "rowqueue.mark_idle", {})
