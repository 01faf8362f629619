"""Failover after failover under load: ``python -m servers.failover --promotions 50``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from servers.load import Load, Verdict
from servers.pair import Pair, own_pair


@dataclass(frozen=True, slots=True)
class Trial:
    """Some failures of a primary, and what they cost.

    Attributes:
        seconds: how long after each promotion enqueues and completions were acknowledged again. The
            new primary has a standby of its own by then: without one, nothing is acknowledged.
        verdict: what was lost.
    """

    seconds: list[float]
    verdict: Verdict


def fail_over(promotions: int, *, synchronous: bool, tell: Callable[[str], None]) -> Trial:
    """Kills the primary again and again while jobs are enqueued, run and completed."""
    seconds: list[float] = []
    with own_pair(synchronous=synchronous) as pair:
        load = Load(pair.dsn)
        with load.on():
            load.until_more()
            for number in range(1, promotions + 1):
                seconds.append(_one_failure(pair, load))
                tell(f"{number} of {promotions}: work goes on after {seconds[-1]:.1f} s")
        with pair.primary.connect() as db:
            verdict = load.verdict(db)
    return Trial(seconds, verdict)


def _one_failure(pair: Pair, load: Load) -> float:
    pair.fail_over()
    began = time.monotonic()
    pair.rejoin()
    load.until_more()
    return time.monotonic() - began


def main() -> int:
    """Prints what happened; exits with 1 if a synchronous standby lost anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=50)
    parser.add_argument("--asynchronous", action="store_true")
    options = parser.parse_args()
    trial = fail_over(options.promotions, synchronous=not options.asynchronous, tell=_say)
    _say(f"seconds until work went on: {min(trial.seconds):.1f} to {max(trial.seconds):.1f}")
    for name, figure in asdict(trial.verdict).items():
        _say(f"{name}: {figure}")
    return 0 if trial.verdict.is_flawless or options.asynchronous else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
