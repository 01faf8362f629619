"""The checker notices when a guard is missing, in a small run of real sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from torture.broken.crowd import Crowd
from torture.broken.habits import Habits
from torture.broken.variants import VARIANTS, Variant
from torture.checker import CHECKS, install, judge

JOBS = 400
SEEDS = tuple(str(seed) for seed in range(1, 9))


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_the_sound_product_is_acquitted(
    dsn: str, db: psycopg.Connection[Any], tmp_path: Path, seed: str
) -> None:
    install(db)
    assert Crowd(dsn, tmp_path, seed, JOBS, Habits()).run()
    verdict = judge(db, tmp_path)
    assert verdict.valid, verdict.report()
    assert verdict.figures["run"]["claims that met no other"]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_missing_guard_is_noticed(
    dsn: str, db: psycopg.Connection[Any], tmp_path: Path, variant: Variant
) -> None:
    install(db)
    variant.apply(db)
    # A race that did not come about in one run does in the next.
    for seed in SEEDS:
        Crowd(dsn, tmp_path, seed, JOBS, variant.habits, patience=8.0).run()
        if variant.invariant in judge(db, tmp_path).broken:
            return
    pytest.fail(f"{len(SEEDS)} runs, and nothing was noticed")


def test_each_invariant_has_a_broken_variant() -> None:
    assert {variant.invariant for variant in VARIANTS} == {check.invariant for check in CHECKS}
