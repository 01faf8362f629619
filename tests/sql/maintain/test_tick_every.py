"""rowqueue.tick_every: one tick a period, however many ask."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import Session, job, refused, running, value

SECOND = timedelta(seconds=1)


def test_one_call_a_period_ticks(db: Session, clock) -> None:
    running(db)
    assert value(db, "tick_every", period=SECOND)["reaped"] == 0
    clock.advance(milliseconds=999)
    assert value(db, "tick_every", period=SECOND) is None
    clock.advance(milliseconds=1)
    assert value(db, "tick_every", period=SECOND) is not None


def test_a_stuck_job_is_reaped_once_the_period_is_over(db: Session, clock) -> None:
    held = running(db)
    value(db, "tick_every", period=SECOND)
    clock.advance(minutes=1)
    assert value(db, "tick_every", period=SECOND)["reaped"] == 1
    assert job(db, held.id).status == "pending"


def test_a_tick_that_found_nothing_to_do_does_not_count(db: Session, clock) -> None:
    for _ in range(5):
        value(db, "tick")
    assert value(db, "tick_every", period=SECOND) is not None
    assert value(db, "tick_every", period=SECOND) is not None


def test_a_clock_that_was_set_back_keeps_nobody_from_ticking(db: Session, clock) -> None:
    running(db)
    assert value(db, "tick_every", period=SECOND) is not None
    clock.advance(hours=-1)
    assert value(db, "tick_every", period=SECOND) is not None


@pytest.mark.parametrize("period", [None, timedelta(seconds=-1), timedelta(days=2)], ids=str)
def test_a_period_out_of_range_is_refused(db: Session, period: timedelta | None) -> None:
    with refused(db, "22023"):
        value(db, "tick_every", period=period)
