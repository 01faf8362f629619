"""The systems under measurement, by name."""

from __future__ import annotations

from bench.harness.system import System
from bench.systems.absurd import ABSURD
from bench.systems.bare import BARE, BARE_UNINDEXED
from bench.systems.classic import CLASSIC
from bench.systems.graphile_worker import GRAPHILE_WORKER, GRAPHILE_WORKER_UNBATCHED
from bench.systems.limit import LIMIT
from bench.systems.pg_boss import PG_BOSS
from bench.systems.pgqueuer import PGQUEUER_ASYNCPG, PGQUEUER_PSYCOPG
from bench.systems.procrastinate import PROCRASTINATE
from bench.systems.rowqueue import ROWQUEUE
from bench.systems.saq import SAQ

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        ROWQUEUE,
        CLASSIC,
        LIMIT,
        BARE,
        BARE_UNINDEXED,
        GRAPHILE_WORKER,
        GRAPHILE_WORKER_UNBATCHED,
        PG_BOSS,
        PGQUEUER_ASYNCPG,
        PGQUEUER_PSYCOPG,
        PROCRASTINATE,
        SAQ,
        ABSURD,
    )
}
