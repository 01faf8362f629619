"""graphile-worker, in the two configurations that its documents name."""

from __future__ import annotations

from bench.harness.install import PGBENCH_SCRIPTS, NodePackages
from bench.harness.system import System

_PROGRAM = NodePackages("graphile_worker.mjs", {"graphile-worker": "0.17.3"})
_REMAINING = "select exists (select from graphile_worker._private_jobs)"

GRAPHILE_WORKER = System(
    name="graphile-worker",
    summary="localQueue 500, completeJobBatchDelay 0, failJobBatchDelay 0, 24 concurrent jobs over"
    " 25 connections, as its documents do for speed; bulk: addJobs, and add_jobs in SQL;"
    " keeps no history",
    program=_PROGRAM,
    sql_enqueue_many=PGBENCH_SCRIPTS / "enqueue_many_graphile_worker.sql",
    stored_sql="select count(*) from graphile_worker._private_jobs",
    remaining_sql=_REMAINING,
    concurrency=24,
    options={"localQueue": {"size": 500}, "completeJobBatchDelay": 0, "failJobBatchDelay": 0},
)

GRAPHILE_WORKER_UNBATCHED = System(
    name="graphile-worker-unbatched",
    summary="its defaults: each job fetched and completed by itself, woken by NOTIFY; 10 concurrent"
    " jobs over 11 connections; keeps no history",
    program=_PROGRAM,
    remaining_sql=_REMAINING,
    jobs=15_000,
    concurrency=10,
)
