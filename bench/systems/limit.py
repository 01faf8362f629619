"""What PostgreSQL itself can do: the least that durability needs for the same life of a job.

One insert, one claim write and one finish write a job, each of them committed, in batches of the
same size, in bare statements on a narrow table with a counter for an id and an index on what is
pending. It leaves out all that makes a queue of it: attempts limited and retried, backoff, leases
and tokens, so that a crashed worker's jobs are lost; priorities, queues, delays, unique keys,
results, errors, timestamps; checked arguments; roles; a history that stays out of the way.
"""

from __future__ import annotations

from bench.harness.install import PGBENCH_SCRIPTS, OwnPython
from bench.harness.system import SqlDrain, System

LIMIT = System(
    name="limit",
    summary="a narrow table, one insert, one claim write and one finish write a job, no functions",
    program=OwnPython("bench.drivers.limit"),
    remaining_sql="select exists (select from least.jobs where state < 2)",
    can=frozenset({"setup", "enqueue"}),
    stored_sql="select count(*) from least.jobs",
    sql_drain=SqlDrain(
        script=PGBENCH_SCRIPTS / "drain_limit.sql",
        completed_once="select count(*) from least.jobs where state = 2",
    ),
)
