"""Calls of every public function with hostile arguments: the short form of ``make input``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from input.hostile import hands
from input.trial import Trial

# Nothing to shrink: a bad answer is that of one call, which the error has.
SHORT = settings(
    phases=[Phase.generate],
    deadline=None,
    database=None,
    max_examples=25,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def trial(shared_db, shared_clock) -> Trial:
    """The module's database, in the hands of a trial."""
    return Trial(shared_db, shared_clock)


@SHORT
@given(data=st.data())
def test_no_call_has_an_undocumented_answer_and_what_is_accepted_can_be_read(trial, data):
    hand = data.draw(hands(trial.known))
    trial.make(list(hand.calls(trial.functions, 100)))
    tally = trial.tally
    assert tally.states["00000"] > tally.calls / 10  # not all of it is nonsense
