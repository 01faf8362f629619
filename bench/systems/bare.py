"""The bare INSERT: the rows that an enqueue makes, into a copy of rowqueue's table, and no more."""

from __future__ import annotations

from bench.harness.install import PGBENCH_SCRIPTS, OwnPython
from bench.harness.system import System


def _bare(name: str, table: str, summary: str) -> System:
    script = name.replace("-", "_")
    return System(
        name=name,
        summary=summary,
        program=OwnPython("bench.drivers.bare"),
        remaining_sql=f"select exists (select from bare.{table})",
        can=frozenset({"setup"}),
        stored_sql=f"select count(*) from bare.{table}",
        sql_enqueue=PGBENCH_SCRIPTS / f"enqueue_{script}.sql",
        sql_enqueue_many=PGBENCH_SCRIPTS / f"enqueue_many_{script}.sql",
    )


BARE = _bare("bare", "jobs", "INSERT … SELECT into a copy of jobs_live with all its indexes")
BARE_UNINDEXED = _bare("bare-unindexed", "jobs_unindexed", "the same into a copy without an index")
