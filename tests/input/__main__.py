"""``python -m input --calls 1000000 --seed 1``, with ``tests`` on the path: see ``make input``."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from multiprocessing import Pool

import psycopg
from hypothesis import HealthCheck, Phase, given, seed, settings

from input.hostile import Hand, hands
from input.trial import Tally, Trial
from support.clock import own_clock
from support.server import install, picked_server, session_options

_CALLS = 1000
_HANDS = 100
_MAKE = settings(
    phases=[Phase.generate],
    deadline=None,
    database=None,
    max_examples=_HANDS,
    suppress_health_check=list(HealthCheck),
)


def main() -> int:
    """Makes the calls and prints what they came to; the first bad answer ends it, by raising."""
    parser = argparse.ArgumentParser(prog="input", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None, help="a random one if left out")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    number = given.seed if given.seed is not None else random.SystemRandom().randrange(2**31)
    say(f"seed {number}, {given.processes} processes")

    began = time.monotonic()
    with picked_server() as server, Pool(given.processes) as pool:
        shares = []
        for process in range(given.processes):
            name = f"input_{process}"
            server.session.execute(f"create database {name}")
            calls = given.calls / given.processes
            shares.append((server.url(name), number + process, calls, began + given.seconds))
        tallies = pool.starmap(_share, shares)
    say(sum(tallies, Tally()).report(time.monotonic() - began))
    return 0


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)  # noqa: T201


def _share(dsn: str, number: int, calls: float, until: float) -> Tally:
    install(conninfo=dsn)
    with psycopg.connect(dsn, **session_options()) as session:
        trial = Trial(session, own_clock(session))
        while trial.tally.calls < calls and time.monotonic() < until:
            _round(trial, number, lambda: trial.tally.calls < calls and time.monotonic() < until)
            number += 1_000
        return trial.tally


def _round(trial: Trial, number: int, going_on: Callable[[], bool]) -> None:
    """A hundred thousand calls; then Hypothesis begins anew, for it remembers what it made."""

    @seed(number)
    @_MAKE
    @given(hands(trial.known))
    def play(hand: Hand) -> None:
        if going_on():
            trial.make(list(hand.calls(trial.functions, _CALLS)))

    play()


if __name__ == "__main__":
    raise SystemExit(main())
