"""The verdict: what about a database hurts a queue, one small function for each thing."""

from __future__ import annotations

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings import (
    checkpoints,
    connections,
    database,
    durability,
    horizon,
    queue,
)
from rowqueue.benchmark.findings.finding import Finding, Judge, Level

__all__ = ["JUDGES", "Finding", "Level", "judge"]

JUDGES: tuple[Judge, ...] = (
    *database.JUDGES,
    *durability.JUDGES,
    *checkpoints.JUDGES,
    *horizon.JUDGES,
    *queue.JUDGES,
    *connections.JUDGES,
)

_WORST_FIRST = (Level.BAD, Level.WARN, Level.OK)


def judge(facts: Facts) -> list[Finding]:
    """Returns all findings, the worst first."""
    found = [finding for judge in JUDGES for finding in judge(facts)]
    return sorted(found, key=lambda finding: _WORST_FIRST.index(finding.level))
