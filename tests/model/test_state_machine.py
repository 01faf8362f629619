"""One session does at random whatever a client may do, and the model always knows what it sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from model.calls import Void
from model.play import Mismatch, Play
from model.steps import WEIGHTS, Step
from model.table import Table
from races.mutation import Edit, Mutation
from races.stage import Connect

NO_REFUND = Mutation(
    "a release costs an attempt",
    (Edit("5_finish/release.sql", "greatest(v_job.attempts - 1, 0)", "v_job.attempts"),),
)
GROUPS = {
    "come": ("enqueue", "retry"),
    "go": ("claim", "claim", "reap"),
    "report": ("complete", "fail", "release", "extend", "progress"),
    "batch": ("complete_many", "extend_leases"),
    "ask": ("cancel", "reset", "get", "tick", "purge", "wait"),
    "transaction": ("begin", "commit", "rollback"),
}
choices = st.integers(0, 2**16 - 1)


class OneSession(RuleBasedStateMachine):
    """A session, in transactions and without; the clock moves when it says so."""

    def __init__(self, table: Table) -> None:
        """Begins with no job."""
        super().__init__()
        self._play: Play | None = Play(table)

    @rule(group=st.sampled_from(sorted(GROUPS)), action=choices, job=choices, choice=choices)
    def act(self, group: str, action: int, job: int, choice: int) -> None:
        """Calls a function, begins or ends a transaction, or lets time pass."""
        actions = GROUPS[group]
        step = Step(0, actions[action % len(actions)], job % 4, choice)
        self._try(lambda play: play.take(step))

    @invariant()
    def sees_what_the_model_says(self) -> None:
        """Every row, with all its columns, is what the model says."""
        self._try(lambda play: play.look(0))

    def teardown(self) -> None:
        """Commits what is open."""
        self._try(Play.finish)

    def _try(self, what: Callable[[Play], None]) -> None:
        """Does something, unless the play is over; clears the table when it goes wrong."""
        if self._play is None:
            return
        try:
            what(self._play)
        except Void:
            self._play.give_up()
            self._play = None
        except BaseException:
            self._play.give_up()
            self._play = None
            raise


def run(table: Table, examples: int, *phases: Phase) -> None:
    """Tries so many histories."""

    class AtTheTable(OneSession):
        def __init__(self) -> None:
            super().__init__(table)

    run_state_machine_as_test(
        AtTheTable,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            phases=phases or tuple(Phase),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_one_session_sees_what_the_model_says(table: Table) -> None:
    run(table, examples=50)


def test_a_function_that_does_otherwise_is_noticed(table: Table, connect: Connect) -> None:
    session: psycopg.Connection[Any] = connect()
    NO_REFUND.apply(session)
    with pytest.raises(Mismatch):
        run(table, 50, Phase.generate)


def test_no_action_is_left_out() -> None:
    assert {action for actions in GROUPS.values() for action in actions} == set(WEIGHTS)
