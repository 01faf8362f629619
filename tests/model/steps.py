"""What an interleaving is: a list of steps, made by dice, any part of which is an interleaving too.

So one that goes wrong can be shrunk by leaving steps out.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

SESSIONS = 4
WEIGHTS = {
    "begin": 8,
    "commit": 6,
    "rollback": 3,
    "wait": 4,
    "enqueue": 4,
    "claim": 8,
    "complete": 8,
    "fail": 7,
    "release": 6,
    "extend": 4,
    "progress": 4,
    "cancel": 8,
    "retry": 6,
    "complete_many": 4,
    "extend_leases": 3,
    "reset": 2,
    "reap": 4,
    "tick": 3,
    "purge": 2,
    "get": 2,
}


class Step(NamedTuple):
    """A session does something.

    Attributes:
        session: which one.
        action: a function's name, or what it does to its transaction; or all wait a while.
        job: which job; counted round and round among those there are.
        choice: stands for all other arguments.
    """

    session: int
    action: str
    job: int
    choice: int


def throw(dice: Random) -> list[Step]:
    """Returns an interleaving of two to four sessions."""
    sessions = dice.randint(2, SESSIONS)
    jobs = dice.choice((1, 1, 1, 2, 3))
    steps = [Step(0, "enqueue", 0, dice.getrandbits(16)) for _ in range(jobs)]
    if dice.random() < 0.9:
        steps.append(Step(0, "claim", 0, dice.getrandbits(16)))
    steps += [Step(s, "begin", 0, 0) for s in range(sessions) if dice.random() < 0.6]
    actions = dice.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()), k=dice.randint(3, 10))
    steps += [
        Step(dice.randrange(sessions), action, dice.randrange(jobs), dice.getrandbits(16))
        for action in actions
    ]
    return steps


def shrink(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """Returns what is left of an interleaving that fails when no step can be left out."""
    size = len(steps)
    while size:
        start = 0
        while start < len(steps):
            fewer = steps[:start] + steps[start + size :]
            if fails(fewer):
                steps = fewer
            else:
                start += size
        size //= 2
    return steps
