"""One call for each SQL function, in the order of a job's life: enqueue, claim, run, finish.

A function here has the name and the arguments of its SQL function and returns a `Call`, which
does nothing by itself; `rowqueue.client` and the worker execute it. Its docstring is that of the
client's method. An argument that is None is left out of the SQL, where the default stands.
"""

from rowqueue.calls._call import Call
from rowqueue.calls._claim import claim_next, mark_idle
from rowqueue.calls._enqueue import enqueue, enqueue_many
from rowqueue.calls._finish import (
    cancel,
    complete,
    complete_many,
    fail_with_backoff,
    release,
    retry,
)
from rowqueue.calls._maintain import (
    confirm_identity,
    grant_roles,
    purge_finished,
    reap_stuck,
    set_notify,
    tick,
    tick_every,
)
from rowqueue.calls._observe import doctor, get_job, health, list_jobs, version
from rowqueue.calls._run import extend_lease, extend_leases, report_progress

__all__ = [
    "Call",
    "cancel",
    "claim_next",
    "complete",
    "complete_many",
    "confirm_identity",
    "doctor",
    "enqueue",
    "enqueue_many",
    "extend_lease",
    "extend_leases",
    "fail_with_backoff",
    "get_job",
    "grant_roles",
    "health",
    "list_jobs",
    "mark_idle",
    "purge_finished",
    "reap_stuck",
    "release",
    "report_progress",
    "retry",
    "set_notify",
    "tick",
    "tick_every",
    "version",
]
