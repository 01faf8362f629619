"""A floor is only speed: what lies below one, whatever put it there, is found and counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from races.mutation import Mutation
from races.mutations import NO_SWEEP, NOTES_ARE_NEVER_FOREIGN, UNNOTICED_CHANGES
from races.stage import Stage

QUEUES = ["default", "elsewhere"]
Misplace = Callable[[Stage], None]


def ticket(stage: Stage) -> None:
    """A DBA gives a job a ticket of long ago."""
    _enqueue(stage)
    stage.db.execute("update rowqueue.jobs set ticket = 1 where status = 'pending'")


def ticket_far_below(stage: Stage) -> None:
    """The same, a million tickets ago."""
    stage.db.execute("select setval('rowqueue.tickets', 1000000)")
    _raise_floors(stage)
    ticket(stage)


def lane(stage: Stage) -> None:
    """A DBA moves a job to a lane that nobody has used."""
    _enqueue(stage)
    stage.db.execute("update rowqueue.jobs set priority = 7 where status = 'pending'")


def queue(stage: Stage) -> None:
    """A DBA moves a job to a queue that nobody has used."""
    _enqueue(stage)
    stage.db.execute("update rowqueue.jobs set queue = 'elsewhere' where status = 'pending'")


def queue_of_a_delayed_job(stage: Stage) -> None:
    """A DBA moves a delayed job to a queue that nobody has used."""
    _enqueue(stage, delay="1 second")
    stage.db.execute("update rowqueue.jobs set queue = 'elsewhere' where status = 'pending'")


def due_time(stage: Stage) -> None:
    """A DBA sets a delayed job's time to yesterday."""
    _enqueue(stage, delay="1 day")
    stage.db.execute(
        "update rowqueue.jobs set run_after = run_after - interval '2 days' "
        "where status = 'pending'"
    )


def running(stage: Stage) -> None:
    """Past the trigger, the owner gives a running job a ticket of long ago; its worker dies."""
    _claim(stage)
    stage.db.execute("update rowqueue.jobs_live set ticket = 1 where status = 'running'")


MISPLACED = (ticket, ticket_far_below, lane, queue, queue_of_a_delayed_job, due_time, running)


@pytest.fixture
def busy_stage(stage: Stage) -> Stage:
    """A stage whose floors have been raised."""
    _raise_floors(stage)
    return stage


@pytest.mark.parametrize("misplace", MISPLACED, ids=lambda misplace: misplace.__name__)
def test_a_job_below_a_floor_is_found(busy_stage: Stage, misplace: Misplace) -> None:
    misplace(busy_stage)
    before = _below_floor(busy_stage)
    assert busy_stage.settle(QUEUES) == {"lost"}, "it should be where nobody looks"
    busy_stage.pass_time(timedelta(0), sweep=True)
    assert busy_stage.value("select rowqueue.tick() -> 'below_floor'") == 1
    assert busy_stage.settle(QUEUES) == set()
    assert _below_floor(busy_stage) == before + 1


@pytest.mark.parametrize("misplace", MISPLACED, ids=lambda misplace: misplace.__name__)
def test_without_the_sweep_it_is_lost(busy_stage: Stage, misplace: Misplace) -> None:
    NO_SWEEP.apply(busy_stage.db)
    misplace(busy_stage)
    for _ in range(3):
        busy_stage.pass_time(timedelta(seconds=5), sweep=True)
        busy_stage.tick()
    assert busy_stage.settle(QUEUES) == {"lost"}


MOVES = (
    "queue = 'elsewhere'",
    "priority = 7",
    "ticket = 1",
    "ticket = ticket + 1000000",
    "queue = 'elsewhere', priority = -7, token = 1",
)


@pytest.mark.parametrize("move", MOVES)
def test_a_running_job_that_was_moved_by_hand_is_reaped(busy_stage: Stage, move: str) -> None:
    _claim(busy_stage)
    before = _below_floor(busy_stage)
    busy_stage.db.execute(f"update rowqueue.jobs set {move} where status = 'running'")
    assert busy_stage.settle(QUEUES) == set()
    assert _below_floor(busy_stage) == before


@pytest.mark.parametrize("move", MOVES)
def test_without_the_trigger_nobody_sees_it(busy_stage: Stage, move: str) -> None:
    UNNOTICED_CHANGES.apply(busy_stage.db)
    _claim(busy_stage)
    busy_stage.db.execute(f"update rowqueue.jobs set {move} where status = 'running'")
    assert busy_stage.settle(QUEUES) == {"lost"}


@pytest.mark.parametrize("mutation", [None, NOTES_ARE_NEVER_FOREIGN], ids=["", "mutant"])
def test_a_note_from_another_server_is_forgotten(
    busy_stage: Stage, mutation: Mutation | None
) -> None:
    """In a restored database the transaction id of the note means nothing."""
    if mutation:
        mutation.apply(busy_stage.db)
    busy_stage.db.execute("update rowqueue.watermarks set xid = '123456789012', applied = false")
    _enqueue(busy_stage)
    assert busy_stage.settle(QUEUES) == set()
    assert busy_stage.sweep() == 0
    assert busy_stage.floors_are_up() == (mutation is None)


def _raise_floors(stage: Stage) -> None:
    for _ in range(3):
        stage.pass_time(timedelta(seconds=1))
        _enqueue(stage)
        stage.work(QUEUES)
        stage.tick()


def _claim(stage: Stage) -> None:
    _enqueue(stage)
    stage.db.execute("select rowqueue.claim_next('doomed')")


def _enqueue(stage: Stage, *, delay: str = "0") -> None:
    stage.db.execute("select rowqueue.enqueue('lost', run_after => rowqueue._now() + %s)", [delay])


def _below_floor(stage: Stage) -> Any:
    return stage.value(
        "select case when is_called then last_value else 0 end from rowqueue.below_floor"
    )
