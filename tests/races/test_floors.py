"""The floors never pass a job by, and each of their rules is needed for that.

`test_no_job_is_passed_by` plays every scene on the schema as it is. Beside it,
`test_without_the_rule_the_scene_loses_jobs` takes a rule out and plays a scene again: the jobs that
are lost then are those that the rule protects.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

import pytest

from races import mutations as m
from races import scenes
from races.deeds import BY_CLAIM, BY_DUE_TIME, BY_TICKET, GROUPS, Deeds
from races.mutation import Mutation
from races.scenes import SCENES, Scene
from races.stage import Stage


@pytest.mark.usefixtures("prepared_transactions")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_job_is_passed_by(stage: Stage, scene: Scene) -> None:
    for left, swept in _played(stage, scene):
        assert left == set()
        assert swept == 0
    assert stage.floors_are_up()


ALL = BY_TICKET | BY_DUE_TIME


def without(mutation: Mutation, scene: Scene, lost: Set[str]) -> Any:
    """The jobs that are lost in a scene on a mutant."""
    name = f"{mutation}: {scene.__name__}".replace(" ", "_")
    return pytest.param(mutation, scene, lost, id=name)


@pytest.mark.usefixtures("prepared_transactions")
@pytest.mark.parametrize(
    ("mutation", "scene", "lost"),
    [
        without(m.DRAWN_BEFORE_THE_ID, scenes.waiting_for_a_key, {"due", "delayed"}),
        without(m.TICKET_FROM_SNAPSHOT, scenes.repeatable_read, BY_TICKET),
        without(m.NOT_RIPE, scenes.late_commit, ALL),
        without(m.NOT_RIPE, scenes.repeatable_read, ALL),
        without(m.NOT_RIPE, scenes.savepoints, ALL),
        without(m.NOT_RIPE, scenes.prepared, ALL),
        without(m.NOT_RIPE, scenes.two_ticks_at_once, ALL),
        without(m.RIPE_BY_SESSIONS, scenes.prepared, ALL),
        without(m.XMAX_FOR_ID, scenes.second_of_two, BY_TICKET),
        without(m.READ_AFTER_THE_ID, scenes.tick_in_a_transaction_with_an_id, ALL),
        without(m.NOT_THE_NOTED, scenes.late_commit, ALL),
        without(m.LOCKED_TICKETS_OVERLOOKED, scenes.late_rollback, {"claimed"}),
        without(m.LOCKED_DUE_TIMES_OVERLOOKED, scenes.rollbacks_in_turn, {"promoted"}),
        without(m.LOCKED_LIVE_OVERLOOKED, scenes.late_rollback, {"released", "failed", "reset"}),
        without(m.RUNNING_JOBS_OVERLOOKED, scenes.late_commit, BY_CLAIM),
        without(m.UNNOTICED_CHANGES, scenes.late_commit, {"reset"}),
    ],
)
def test_without_the_rule_the_scene_loses_jobs(
    stage: Stage, mutation: Mutation, scene: Scene, lost: set[str]
) -> None:
    mutation.apply(stage.db)
    really_lost: set[str] = set()
    for left, swept in _played(stage, scene):
        # A floor is only speed: what lies below one is found, and counted.
        assert bool(left) == bool(swept)
        really_lost |= left
    assert really_lost == lost


def test_a_sequence_with_a_cache_loses_jobs(stage: Stage) -> None:
    m.CACHED_TICKETS.apply(stage.db)
    left: set[str] = set()
    for types in GROUPS:
        deeds = Deeds(stage, types)
        scenes.old_session(stage, deeds)
        left |= stage.settle(deeds.queues)
    # Jobs of others are lost as well.
    assert BY_TICKET - {"first"} <= left


@pytest.mark.usefixtures("prepared_transactions")
@pytest.mark.parametrize("scene", [scenes.late_commit, scenes.prepared, scenes.repeatable_read])
@pytest.mark.parametrize("mutation", [m.NO_CEILING, m.CEILING_AT_THE_LAST], ids=str)
def test_above_the_ceiling_nobody_reaps(stage: Stage, mutation: Mutation, scene: Scene) -> None:
    mutation.apply(stage.db)
    deeds = Deeds(stage, BY_CLAIM | {"promoted"})
    scene(stage, deeds)
    assert stage.settle(deeds.queues) >= BY_CLAIM


def _played(stage: Stage, scene: Scene) -> Iterator[tuple[set[str], int]]:
    """Plays a scene; yields which jobs are left when all is over, and how many a sweep finds."""
    for types in GROUPS:
        deeds = Deeds(stage, types)
        scene(stage, deeds)
        left = stage.settle(deeds.queues)
        yield left, stage.sweep()
        assert stage.settle(deeds.queues) == set()  # What was swept up can be claimed.
