"""SAQ on PostgreSQL."""

from __future__ import annotations

from bench.harness.install import PythonPackages
from bench.harness.system import System

SAQ = System(
    name="saq",
    summary="one worker in each process with concurrency 20, woken by NOTIFY,"
    " over a pool that does not check its connections; it has no bulk insert: jobs are enqueued one"
    " a transaction, 20 at once",
    program=PythonPackages(
        "bench.drivers.saq",
        {"saq[postgres]": "0.26.4", "psycopg[binary]": "3.3.9", "psycopg-pool": "3.3.3"},
    ),
    remaining_sql="select exists (select from saq_jobs"
    " where status in ('new', 'queued', 'active', 'aborting'))",
    jobs=5_000,
    concurrency=20,
)
