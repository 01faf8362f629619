"""The worker: what happens to a job between its claim and its end, module by module.

`claim` takes due jobs from the database (`prefetch`: how many, `lull`: how to wait for them),
`run` runs their handlers (`handlers`, `threads`, `processes`; `attempt` and `limits`: how one is
stopped), and `finish` writes their outcomes. `heartbeat` keeps leases and progress up beside
them. For what goes wrong there are `connect` (how a dead link is noticed), `outages` (how the
database is waited for) and `watchdog` (how a standstill is ended). A `shift` puts these together;
`worker` and `supervisor` are what programs use.
"""

from rowqueue.worker.job import Job
from rowqueue.worker.supervisor import supervise
from rowqueue.worker.threads import TooManyAbandonedThreads
from rowqueue.worker.worker import Worker

__all__ = ["Job", "TooManyAbandonedThreads", "Worker", "supervise"]
