"""What the worker does, and says, while the database is out of reach."""

from __future__ import annotations

import logging
import math
import random
import threading
import time

logger = logging.getLogger("rowqueue")

_FIRST_RETRY = 0.1
_LAST_RETRY = 1.25
"""Seconds: a database that is back waits two for the next claim at the most."""

_LOG_EVERY = 1.0


class _Turn:
    """Who may write a line now: one a second, however many workers and threads would like to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken_at = -math.inf

    def take(self) -> bool:
        """Returns whether it is ours."""
        now = time.monotonic()
        with self._lock:
            if now - self._taken_at < _LOG_EVERY:
                return False
            self._taken_at = now
            return True


_turn = _Turn()


class Outages:
    """Paces the reconnecting of all of a worker's connections, and speaks for them.

    Each loss in a row waits longer, with jitter, so that a hundred workers don't come back in
    step. The whole process writes one line a second at most, however many connections are down.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._losses: dict[str, int] = {}
        self._return_is_news = False

    def delay(self, purpose: str, error: Exception) -> float:
        """Notes that a connection was lost and returns how many seconds to wait."""
        losses = self._losses[purpose] = self._losses.get(purpose, 0) + 1
        if self.mention(f"{purpose} connection", error):
            self._return_is_news = True
        longest = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(losses, 10))
        return random.uniform(longest / 2, longest)

    def over(self, purpose: str) -> None:
        """Notes that a connection has done its work again, or still does."""
        self._losses.pop(purpose, None)
        if self._return_is_news and not self._losses and _turn.take():
            self._return_is_news = False
            logger.info("worker %s: all connections are back", self._worker)

    def mention(self, what: str, error: Exception) -> bool:
        """Says what went wrong, unless something was said within the last second."""
        if not _turn.take():
            return False
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        logger.warning("worker %s: %s: %s", self._worker, what, reason)
        return True
