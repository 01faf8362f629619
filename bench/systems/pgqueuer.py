"""PgQueuer, over each of its two drivers."""

from __future__ import annotations

from bench.harness.install import PythonPackages
from bench.harness.system import System

_PROGRAM = PythonPackages(
    "bench.drivers.pgqueuer",
    {"pgqueuer": "1.6.0", "asyncpg": "0.32.0", "psycopg[binary]": "3.3.9", "uvloop": "0.23.0"},
)
_REMAINING = "select exists (select from pgqueuer)"

PGQUEUER_ASYNCPG = System(
    name="pgqueuer-asyncpg",
    summary="asyncpg on uvloop, a pool of 4 connections, jobs claimed 500 at a time; enqueue with"
    " arrays",
    program=_PROGRAM,
    remaining_sql=_REMAINING,
    jobs=100_000,
    concurrency=500,
    options={"driver": "asyncpg", "batch": 500},
)

PGQUEUER_PSYCOPG = System(
    name="pgqueuer-psycopg",
    summary="psycopg on uvloop, one connection, jobs claimed 200 at a time; enqueue with arrays",
    program=_PROGRAM,
    remaining_sql=_REMAINING,
    jobs=50_000,
    concurrency=200,
    options={"driver": "psycopg", "batch": 200},
)
