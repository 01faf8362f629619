"""What a client may get wrong: the guards that are not in the SQL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """Bad habits of a client, none by default.

    Attributes:
        effect_apart: a handler commits its effect before it completes the job, not with it.
        sends_again: a producer that lost a reply enqueues the same job once more, without a key.
        runs_twice: a worker runs a job once more when the reply to its completion was lost.
        reads_another: a worker hands a handler the payload of its neighbour.
        ignores_refusals: a worker takes a refused completion for a success.
    """

    effect_apart: bool = False
    sends_again: bool = False
    runs_twice: bool = False
    reads_another: bool = False
    ignores_refusals: bool = False
