"""Which jobs are enqueued: types, queues, priorities, delays, drawn with a producer's own dice."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from torture.scene import QUEUES, WORKSPACES

# In ten thousand. What a type does stands in torture/worker.py. Poison jobs and those that block
# an event loop are few, and enqueued as faults.
_TYPES = {
    "plain": 6653,
    "effect": 2600,
    "effect_thread": 60,
    "thread": 200,
    "progress": 100,
    "flaky": 250,
    "orphan": 60,
    "doomed": 50,
    "child": 4,
    "timeout": 10,
    "slow": 10,
    "long": 3,
}

_QUEUE_WEIGHTS = (70, 20, 10)
_PRIORITIES = {0: 85, 10: 10, -10: 5}
_DELAYED = 0.05
_IN_A_WORKSPACE = 0.3

TIMEOUT_MS = 1000
"""Of the jobs that run into it."""


def draw(dice: random.Random, key: str) -> dict[str, Any]:
    """Returns the arguments of enqueue for one job.

    Args:
        dice: the producer's.
        key: what the producer calls the job before it has an id.
    """
    [job_type] = dice.choices(list(_TYPES), list(_TYPES.values()))
    return of_type(dice, key, job_type)


def of_type(dice: random.Random, key: str, job_type: str) -> dict[str, Any]:
    """Returns the arguments of enqueue for a job of this type."""
    [queue] = dice.choices(QUEUES, _QUEUE_WEIGHTS)
    [priority] = dice.choices(list(_PRIORITIES), list(_PRIORITIES.values()))
    job: dict[str, Any] = {
        "job_type": job_type,
        "payload": {"key": key, "fails": dice.randint(1, 2)},
        "queue": queue,
        "priority": priority,
    }
    if dice.random() < _IN_A_WORKSPACE:
        job["workspace_id"] = dice.choice(WORKSPACES)
    if dice.random() < _DELAYED:
        job["run_after"] = datetime.now(UTC) + timedelta(seconds=dice.uniform(0.1, 3))
    if job_type == "timeout":
        job |= {"timeout_ms": TIMEOUT_MS, "max_attempts": 2}
    if job_type == "doomed":
        job["max_attempts"] = 1
    elif job_type == "poison":
        job["max_attempts"] = dice.randint(1, 2)
    return job
