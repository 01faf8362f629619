"""Absurd."""

from __future__ import annotations

from bench.harness.install import PythonPackages
from bench.harness.system import System

ABSURD = System(
    name="absurd",
    summary="4 of its async workers in each process, 100 tasks claimed at a time and completed one"
    " by one; bulk: its spawn_task over an array in one statement",
    program=PythonPackages(
        "bench.drivers.absurd",
        {"absurd-sdk": "0.5.1", "absurdctl": "0.5.1", "psycopg[binary]": "3.3.9"},
    ),
    remaining_sql="select exists (select from absurd.r_bench"
    " where state in ('pending', 'running', 'sleeping'))",
    jobs=8_000,
    concurrency=100,
    options={"workers": 4},
)
