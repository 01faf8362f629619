"""pg-boss."""

from __future__ import annotations

from bench.harness.install import NodePackages
from bench.harness.system import System

PG_BOSS = System(
    name="pg-boss",
    summary="insert; 2 loops of fetch and complete in each process, 2,000 jobs at a time, as every"
    " fetch sorts the whole backlog; an idle loop looks every 0.5 s, the shortest interval of its"
    " own workers",
    program=NodePackages("pg_boss.mjs", {"pg-boss": "10.4.2"}),
    remaining_sql="select exists (select from pgboss.job where name = 'bench'"
    " and state < 'completed')",
    jobs=100_000,
    concurrency=20,
    options={"batch": 2000, "loops": 2, "poll": 500},
)
