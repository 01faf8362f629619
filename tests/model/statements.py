"""The statements by which the model's calls are made in a database, and how jobs are read back.

Instants and durations are whole milliseconds on both sides, and everything is text.
"""

from __future__ import annotations

from model import calls, many, requests
from model.job import Job

TO_CALL: dict[type[calls.Call], str] = {
    requests.Enqueue: """
        select rowqueue.enqueue(
            'sync', unique_key => $1, priority => $2, max_attempts => $3, timeout_ms => $4,
            run_after => rowqueue._now() + nullif($5::bigint, 0) * interval '1 ms')
    """,
    many.Claim: """
        select id, token from rowqueue.claim_next($1, max_jobs => $2, lease => $3 * interval '1 ms')
    """,
    calls.Complete: "select rowqueue.complete($1, $2, to_jsonb($3::text))",
    many.CompleteMany: "select id, outcome from rowqueue.complete_many($1, $2) order by id",
    calls.Fail: """
        select rowqueue.fail_with_backoff($1, $2, $3, $4, $5::bigint * interval '1 ms')
    """,
    calls.Release: "select rowqueue.release($1, $2, $3 * interval '1 ms')",
    calls.Extend: "select rowqueue.extend_lease($1, $2, $3 * interval '1 ms')",
    many.ExtendLeases: """
        select id, outcome from rowqueue.extend_leases($1, $2, $3 * interval '1 ms') order by id
    """,
    calls.Progress: "select rowqueue.report_progress($1, $2, $3, $4)",
    requests.Cancel: "select rowqueue.cancel($1, $2)",
    requests.Retry: "select rowqueue.retry($1)",
    requests.Reset: """
        update rowqueue.jobs set status = 'pending', started_at = null
        where id = $1 and status = 'running' returning 'reset'
    """,
    many.Reap: "select id, outcome from rowqueue.reap_stuck()",
    many.Tick: """
        select t.done ->> 'promoted', t.done ->> 'reaped', t.done ->> 'below_floor'
        from rowqueue.tick() as t(done)
    """,
    many.Purge: "select rowqueue.purge_finished('0')",
    many.Get: "select status, attempts from rowqueue.get_job($1)",
}

_MS = "(extract(epoch from j.{0}) * 1000)::bigint"
_COLUMNS = {
    "id": "j.id",
    "status": "j.status",
    "priority": "j.priority",
    "unique_key": "j.unique_key",
    "token": "j.token",
    "attempts": "j.attempts",
    "crashes": "j.crashes",
    "uncharged": "j.uncharged_crashes",
    "run_after": _MS.format("run_after"),
    "started_at": _MS.format("started_at"),
    "lease_until": _MS.format("lease_until"),
    "completed_at": _MS.format("completed_at"),
    "cancel_requested_at": _MS.format("cancel_requested_at"),
    "cancel_reason": "j.cancel_reason",
    "worker": "j.worker",
    "error": "j.error",
    "last_error": "j.last_error",
    "progress": "(j.progress ->> 'current') || '/' || (j.progress ->> 'total')",
    "result": "j.result #>> '{}'",
}
NAMES = tuple(_COLUMNS)

_LIST = ", ".join(_COLUMNS.values())
# Reads all jobs and clears the table for the next interleaving.
TAKE_ALL = f"""
    with live as (delete from rowqueue.jobs_live as j returning {_LIST}),
    finished as (delete from rowqueue.jobs_finished as j returning {_LIST})
    select * from live union all select * from finished order by 1
"""
READ_ALL = f"select {_LIST} from rowqueue.jobs as j order by 1"


def as_row(job: Job) -> calls.Row:
    """A job as the database shows it."""
    progress = None if job.progress is None else "/".join(map(str, job.progress))
    return tuple(
        None if value is None else str(value)
        for value in (progress if name == "progress" else getattr(job, name) for name in NAMES)
    )
