"""How many jobs to claim ahead of the handlers."""

from __future__ import annotations

import time

_AHEAD = 0.25
"""Seconds that a job claimed ahead may have to wait: its time runs from the claim."""

_SPAN = 0.05
"""Seconds over which the rate is taken."""


class Prefetch:
    """As many as the handlers finish in a quarter of a second, as measured.

    Slow handlers have nothing claimed ahead; handlers that take microseconds, hundreds.
    """

    def __init__(self, most: int) -> None:
        """Claims nothing ahead at first, and never more than `most`."""
        self._most = most
        self._rate = 0.0
        self._since = time.monotonic()
        self._ended = 0

    def target(self, ended: int) -> int:
        """Returns how many to hold in waiting, given how many attempts have ended, ever."""
        now = time.monotonic()
        if now - self._since >= _SPAN:
            self._rate = (ended - self._ended) / (now - self._since)
            self._since, self._ended = now, ended
        return min(self._most, int(self._rate * _AHEAD))
