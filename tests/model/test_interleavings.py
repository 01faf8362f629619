"""Random interleavings do in the database what they do in the reference model.

``make interleavings`` plays a million of them.
"""

from __future__ import annotations

import pytest

from model import calls, many, requests
from model.calls import Call
from model.interleavings import play
from model.play import Mismatch, Play
from model.steps import Step, shrink
from model.table import Table
from races.mutation import Edit, Mutation
from races.stage import Connect

COUNT = 500
NEVER_WAIT = {"Claim", "Reap", "Tick", "Purge", "Get"}
CALLS = {
    call.__name__
    for module in (calls, many, requests)
    for call in vars(module).values()
    if isinstance(call, type) and issubclass(call, Call) and not call.__subclasses__()
}
UNLOCKED_ATTEMPT = Mutation(
    "an attempt is ended without its row being locked",
    (Edit("5_finish/_lock_running.sql", "and j.status = 'running'\n    for update;", ";"),),
)
ANY_TOKEN = Mutation(
    "jobs are finished whatever the token",
    (Edit("5_finish/_finish.sql", "j.token is not distinct from a.token", "true"),),
)
UNLOCKED_CANCEL = Mutation(
    "cancel looks without a lock",
    (
        Edit(
            "5_finish/cancel.sql",
            "where j.id = cancel.job_id\n        for update;",
            "where j.id = cancel.job_id;",
        ),
    ),
)


def test_interleavings_do_what_the_model_says(table: Table) -> None:
    tally = play(table, seed=1, numbers=range(COUNT))
    assert not tally.wrong, tally.wrong
    assert tally.played == COUNT
    assert tally.void < COUNT / 50
    assert {call for call, how in tally.seen if how == "answers"} == CALLS
    waited = {call for call, how in tally.seen if how == "waits"}
    assert len(waited) > 7
    assert not waited & NEVER_WAIT


@pytest.mark.parametrize("mutation", [UNLOCKED_ATTEMPT, ANY_TOKEN, UNLOCKED_CANCEL], ids=str)
def test_without_a_guard_they_do_not(table: Table, connect: Connect, mutation: Mutation) -> None:
    mutation.apply(connect())
    assert play(table, seed=1, numbers=range(5000), shrinks=False).wrong


def test_what_goes_wrong_is_shrunk(table: Table, connect: Connect) -> None:
    """Of a dozen steps, those are left that it takes."""
    ANY_TOKEN.apply(connect())
    needed = [
        Step(0, "enqueue", 0, 0),
        Step(0, "claim", 0, 3),
        Step(1, "complete", 0, 0),  # Under a token that nobody was given.
    ]
    steps = [*needed[:1], *(Step(2, "get", 0, n) for n in range(5)), *needed[1:], *needed[1:]]

    def fails(fewer: list[Step]) -> bool:
        try:
            Play(table).run(fewer)
        except Mismatch:
            return True
        return False

    assert shrink(steps, fails) == needed
