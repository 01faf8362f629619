"""What a run leaves in the database, and how that goes away again."""

from __future__ import annotations

from time import monotonic

from rowqueue import calls, client
from rowqueue.benchmark.names import JOB_TYPE, LEASE, QUEUE, WORKER, WORKSPACE
from rowqueue.benchmark.place import Session

_MAY_DELETE = """
    select bool_and(has_table_privilege('rowqueue.jobs', privilege)) as jobs,
           bool_and(has_table_privilege('rowqueue.lanes', privilege)) as lanes
    from unnest(array['select', 'delete']) as privilege
"""

# One for each index of the live jobs that leads to those of a queue, however many others there are.
_DELETE_LIVE = """
    delete from rowqueue.jobs
    where queue = %s and status in ('pending', 'running') and
"""
_LIVE = ("ticket is not null", "ticket is null and status = 'pending'", "status = 'running'")

_FIRST_RUN = """
    select min(created_at) from rowqueue.jobs where workspace_id = %s and queue = %s
"""
_DELETE_FINISHED = """
    delete from rowqueue.jobs
    where queue = %s and status in ('completed', 'failed', 'cancelled') and completed_at >= %s
"""
_DELETE_LANE = "delete from rowqueue.lanes where queue = %s"

_CLAIM = 1000
_TIME = 5.0


def mark_begin(session: Session) -> None:
    """Leaves the job by which a later run knows since when there is something to remove.

    It goes the way of all jobs, so who lacks the rights of a worker learns it here.

    Raises:
        psycopg.errors.InsufficientPrivilege: the user may not enqueue, claim or complete.
    """
    client.run(session, calls.enqueue(JOB_TYPE, workspace_id=WORKSPACE, queue=QUEUE))
    _work_off(session)


def remove(session: Session, finished: int = 0) -> str:
    """Removes what is in the benchmark's queue, of this run and of earlier ones that were killed.

    Args:
        session: the session.
        finished: how many jobs this run has completed.

    Returns:
        What stays, as a sentence for people; empty when nothing does.
    """
    row = session.execute(_MAY_DELETE).fetchone()
    may_delete, may_delete_lane = row or (False, False)
    if may_delete:
        _delete(session, lane=may_delete_lane)
        return ""
    if not _work_off(session):
        return f"Jobs are still waiting in queue {QUEUE}; the next run removes them."
    if not finished:
        return ""
    return (
        f"{finished:,} completed jobs stay in queue {QUEUE}, for this user may not delete;"
        " purge_finished() removes them after 30 days."
    )


def _work_off(session: Session) -> bool:
    """Claims and completes what waits, as a worker may; false if the time was too short."""
    ends = monotonic() + _TIME
    claim = calls.claim_next(WORKER, queues=[QUEUE], max_jobs=_CLAIM, lease=LEASE)
    while jobs := client.run(session, claim):
        tokens = [job.token for job in jobs]
        client.run(session, calls.complete_many([job.id for job in jobs], tokens=tokens))
        if monotonic() > ends:
            return False
    return True


def _delete(session: Session, *, lane: bool) -> None:
    """Deletes all jobs of the queue, and its lane, which only the owner may."""
    with session.transaction():
        session.execute("set local statement_timeout = 0")
        for room in _LIVE:
            session.execute(f"{_DELETE_LIVE} {room}".encode(), [QUEUE])
        (since,) = session.execute(_FIRST_RUN, [WORKSPACE, QUEUE]).fetchone() or (None,)
        if since is not None:
            session.execute(_DELETE_FINISHED, [QUEUE, since])
        if lane:
            session.execute(_DELETE_LANE, [QUEUE])
