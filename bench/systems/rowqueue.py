"""rowqueue itself: its Python worker, or its SQL alone."""

from __future__ import annotations

from bench.harness.install import PGBENCH_SCRIPTS, OwnPython
from bench.harness.system import SqlDrain, System

ROWQUEUE = System(
    name="rowqueue",
    summary="one rowqueue.Worker in each process, its default settings, an async handler",
    program=OwnPython("bench.drivers.rowqueue", ("psycopg", "psycopg-pool")),
    remaining_sql="select exists (select from rowqueue.jobs_live)",
    stored_sql="select count(*) from rowqueue.jobs",
    sql_drain=SqlDrain(
        script=PGBENCH_SCRIPTS / "drain_rowqueue.sql",
        completed_once=(
            "select count(*) from rowqueue.jobs where status = 'completed' and attempts = 1"
        ),
        upkeep="select rowqueue.tick()",
    ),
    sql_enqueue=PGBENCH_SCRIPTS / "enqueue_rowqueue.sql",
    sql_enqueue_many=PGBENCH_SCRIPTS / "enqueue_many_rowqueue.sql",
)
