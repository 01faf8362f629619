"""Calls for maintenance: what a worker, cron or a DBA does now and then."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rowqueue.calls._arguments import given, optional
from rowqueue.calls._call import Call, maybe, nothing, rows, value
from rowqueue.jobs import Outcome


def reap_stuck(max_jobs: int | None = None) -> Call[list[Outcome]]:
    """Takes back running jobs whose lease or timeout ran out.

    Args:
        max_jobs: how many at most (default: 1000).

    Returns:
        A row for each: its id and its new status, ``pending``, ``failed`` or ``cancelled``.

    Raises:
        InvalidArgument: max_jobs is out of range.

    SQL: rowqueue.reap_stuck, running -> pending, failed or cancelled
    """
    return rows(Outcome, "rowqueue.reap_stuck", optional(max_jobs=max_jobs))


def tick() -> Call[dict[str, Any]]:
    """Does everything periodic that is due; any number of callers may call it at any time.

    Returns:
        What it did, by name, such as ``{"promoted": 3, "reaped": 0, …}``.

    SQL: rowqueue.tick, running -> pending, failed or cancelled
    """
    return value(dict[str, Any], "rowqueue.tick", {})


def tick_every(period: timedelta) -> Call[dict[str, Any] | None]:
    """Calls `tick`, unless another such call found something to do within the period.

    Args:
        period: how long one tick is enough for all callers; up to a day.

    Returns:
        What `tick` returns, or None when it was not called.

    Raises:
        InvalidArgument: period is out of range.

    SQL: rowqueue.tick_every, running -> pending, failed or cancelled
    """
    return maybe(dict[str, Any], "rowqueue.tick_every", given(period=period))


def purge_finished(
    older_than: timedelta | None = None, *, max_jobs: int | None = None
) -> Call[int]:
    """Removes jobs that finished long ago.

    Args:
        older_than: how long ago (default: 30 days).
        max_jobs: how many rows at most are removed one by one (default: 10000).

    Returns:
        How many were removed; call it again until that is 0.

    Raises:
        InvalidArgument: an argument is out of range.

    SQL: rowqueue.purge_finished, completed, failed or cancelled -> gone
    """
    return value(int, "rowqueue.purge_finished", optional(older_than=older_than, max_jobs=max_jobs))


def set_notify(enabled: bool) -> Call[None]:
    """Switches the notifications that wake idle workers on or off; polling goes on either way.

    Args:
        enabled: whether an enqueue may send one.

    Returns:
        Nothing.

    SQL: rowqueue.set_notify, changes no job
    """
    return nothing("rowqueue.set_notify", given(enabled=enabled))


def grant_roles() -> Call[None]:
    """Grants the roles of rowqueue what they need, where they were made after the schema.

    Returns:
        Nothing.

    SQL: rowqueue.grant_roles, changes no job
    """
    return nothing("rowqueue.grant_roles", {})


def confirm_identity(servers: Sequence[str] | None = None) -> Call[bool]:
    """Says that this database may run its jobs, though it is a copy of the one they ran in.

    Args:
        servers: the ``cluster_name`` of each server, primary and standbys, that may run jobs;
            any with the same system identifier if left out.

    Returns:
        True if it was a copy, False if there was no doubt.

    Raises:
        InvalidArgument: servers does not name this one.

    SQL: rowqueue.confirm_identity, running -> pending
    """
    return value(bool, "rowqueue.confirm_identity", optional(servers=servers))
