"""Procrastinate."""

from __future__ import annotations

from bench.harness.install import PythonPackages
from bench.harness.system import System

PROCRASTINATE = System(
    name="procrastinate",
    summary="batch_defer; one worker in each process with concurrency 20, woken by NOTIFY,"
    " over a pool that does not check its connections",
    program=PythonPackages(
        "bench.drivers.procrastinate",
        {"procrastinate": "3.10.0", "psycopg[binary]": "3.3.9", "psycopg-pool": "3.3.3"},
    ),
    remaining_sql="select exists (select from procrastinate_jobs"
    " where status in ('todo', 'doing'))",
    jobs=5_000,
    concurrency=20,
)
