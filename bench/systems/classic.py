"""The single table that people write by hand: no history apart, no tokens, no leases."""

from __future__ import annotations

from bench.harness.install import PGBENCH_SCRIPTS, OwnPython
from bench.harness.system import SqlDrain, System

CLASSIC = System(
    name="classic",
    summary="one table with FOR UPDATE SKIP LOCKED, jobs claimed and completed 500 at a time",
    program=OwnPython("bench.drivers.classic"),
    remaining_sql=(
        "select exists (select from classic.jobs where status = 'pending')"
        " or exists (select from classic.jobs where status = 'running')"
    ),
    options={"batch": 500},
    stored_sql="select count(*) from classic.jobs",
    sql_drain=SqlDrain(
        script=PGBENCH_SCRIPTS / "drain_classic.sql",
        completed_once=(
            "select count(*) from classic.jobs where status = 'completed' and attempts = 1"
        ),
    ),
)
