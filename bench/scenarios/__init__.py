"""The questions that the benchmark asks, by name."""

from __future__ import annotations

from bench.harness.scenario import Scenario
from bench.scenarios.backlog import BACKLOG
from bench.scenarios.bulk_enqueue import BULK_ENQUEUE
from bench.scenarios.day import DAY
from bench.scenarios.drain import DRAIN
from bench.scenarios.handlers import HANDLERS
from bench.scenarios.held_snapshot import HELD_SNAPSHOT
from bench.scenarios.idle import IDLE
from bench.scenarios.latency import LATENCY
from bench.scenarios.payload import PAYLOAD
from bench.scenarios.readers import DUMP_READERS, READERS
from bench.scenarios.scaling import SCALING
from bench.scenarios.single_enqueue import SINGLE_ENQUEUE
from bench.scenarios.sql_drain import SQL_DRAIN
from bench.scenarios.steady import STEADY

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        DRAIN,
        SQL_DRAIN,
        BULK_ENQUEUE,
        SINGLE_ENQUEUE,
        STEADY,
        LATENCY,
        HELD_SNAPSHOT,
        READERS,
        DUMP_READERS,
        BACKLOG,
        SCALING,
        PAYLOAD,
        IDLE,
        DAY,
        HANDLERS,
    )
}
