"""Whether every job was handled, and none twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.harness.driver import Handled


@dataclass(frozen=True, slots=True)
class Check:
    """How many jobs were lost and how many handled more than once."""

    lost: int
    duplicated: int

    @property
    def void(self) -> str:
        """Why the round does not count; empty when it does."""
        words = []
        if self.lost:
            words.append(f"{self.lost} lost")
        if self.duplicated:
            words.append(f"{self.duplicated} duplicated")
        return ", ".join(words)


def check(jobs: int, handled: Iterable[Handled], first: int = 0) -> Check:
    """Compares what the workers handled with jobs ``first`` to ``first + jobs - 1``.

    A number that was never enqueued counts as duplicated: it is one job too many.
    """
    return check_numbers(jobs, [process.numbers for process in handled], first)


def check_numbers(jobs: int, numbers: Iterable[Sequence[int]], first: int = 0) -> Check:
    """Does the same for bare numbers."""
    times: Counter[int] = Counter()
    for some in numbers:
        times.update(some)
    wanted = range(first, first + jobs)
    strangers = sum(count for number, count in times.items() if number not in wanted)
    lost = sum(number not in times for number in wanted)
    repeated = sum(count - 1 for number, count in times.items() if number in wanted)
    return Check(lost, repeated + strangers)
