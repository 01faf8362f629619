"""A random crowd of producers, workers and tickers: every job is done exactly once.

``ROWQUEUE_CROWD_SEEDS`` ("1 2 3") and ``ROWQUEUE_CROWD_JOBS`` make it run longer.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import psycopg
import pytest

from races.crowd import Crowd
from races.mutation import Edit, Mutation
from races.mutations import NOT_RIPE
from races.stage import Connect

SEEDS = os.environ.get("ROWQUEUE_CROWD_SEEDS", "1").split()
JOBS = int(os.environ.get("ROWQUEUE_CROWD_JOBS", "3000"))
FREQUENT_SWEEPS = Mutation(
    "tick sweeps every 100 ms",
    (Edit("6_maintain/tick.sql", "not between 0 and 4999", "not between 0 and 99"),),
    harmless=True,
)
Db = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def _frequent_sweeps(prepared_transactions: None, db: Db) -> None:
    FREQUENT_SWEEPS.apply(db)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_is_done_exactly_once(db: Db, connect: Connect, seed: str) -> None:
    account = Crowd(connect, seed, JOBS).run()
    stored = db.execute("select id, status from rowqueue.jobs").fetchall()
    assert {job.id for job in stored} == account.committed
    assert {job.status for job in stored} == {"completed"}
    assert account.completed == Counter(account.committed)
    assert set(account.tokens.values()) == {1}
    assert account.undone
    assert _below_floor(db) == 0


def test_without_a_rule_of_the_floors_the_crowd_notices(db: Db, connect: Connect) -> None:
    NOT_RIPE.apply(db)
    for seed in range(10):
        Crowd(connect, f"mutant {seed}", 600).run()
        if _below_floor(db):
            return
    pytest.fail("ten crowds found nothing wrong")


def _below_floor(db: Db) -> int:
    """How many jobs were found below a floor, all sweeps together."""
    db.execute("select rowqueue._sweep()")
    [(count,)] = db.execute(
        "select case when is_called then last_value else 0 end from rowqueue.below_floor"
    ).fetchall()
    return int(count)
