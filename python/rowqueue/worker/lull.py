"""Waiting: for work when there is none, and for anything else not beyond a stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from rowqueue import calls, client
from rowqueue.worker.connect import AsyncConnection
from rowqueue.worker.settings import Settings

_FIRST_WAITS = (0.005, 0.02, 0.08, 0.32)
"""Seconds between looks after running dry: an enqueue under way may not send a notification."""

_DRAIN_EVERY = 1.0

Result = TypeVar("Result")


class StopSignal(asyncio.Event):
    """Set when the worker is to claim no more."""

    async def or_(
        self, something: Coroutine[Any, Any, Result], *, within: float | None = None
    ) -> Result | None:
        """Awaits something, but not beyond a stop, nor longer than `within` seconds.

        Returns:
            Its result; None if it was given up.
        """
        awaited = asyncio.ensure_future(something)
        stop = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({awaited, stop}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            return awaited.result() if awaited.done() else None
        finally:
            stop.cancel()
            awaited.cancel()
            await asyncio.gather(awaited, stop, return_exceptions=True)


class Lull:
    """How a worker waits for jobs: polling is the truth, a notification only a hint.

    Having run dry, it marks itself idle, so that the next enqueue sends a notification, and
    looks again at once; then after short waits, lest it missed an enqueue that was under way;
    then at the polling interval.
    """

    def __init__(self, settings: Settings, stop: StopSignal) -> None:
        """Begins with the mark."""
        self._poll = settings.poll_interval.total_seconds()
        self._listens = not settings.pooler
        self._stop = stop
        self._steps = self._plan()
        self._drained = 0.0

    def _plan(self) -> Iterator[tuple[float, bool]]:
        """Yields how many seconds to wait before the next look, and whether to mark idle then."""
        yield 0, True
        yield from ((min(wait, self._poll), False) for wait in _FIRST_WAITS)
        while True:
            yield from [(self._poll, False)] * 3
            # The mark may be gone though no notification came: an enqueue may be rolled back.
            yield self._poll, True

    async def wait(self, connection: AsyncConnection) -> None:
        """Waits a little, as is fit after looking in vain as often as it did."""
        wait, mark = next(self._steps)
        if not self._listens:
            await self._stop.or_(asyncio.sleep(wait))
        elif wait and await self._stop.or_(_notified(connection, wait)):
            self._steps = self._plan()
        elif mark:
            await client.run_async(connection, calls.mark_idle())

    async def over(self, connection: AsyncConnection) -> None:
        """Begins anew after jobs were found."""
        self._steps = self._plan()
        # What comes in for other, idle workers would pile up in the memory of a busy one.
        if self._listens and time.monotonic() - self._drained >= _DRAIN_EVERY:
            self._drained = time.monotonic()
            await _notified(connection, 0)


async def _notified(connection: AsyncConnection, within: float) -> bool:
    """Returns true once there is a notification, false when none came within so many seconds."""
    notified = False
    async for _ in connection.notifies(timeout=within, stop_after=1):
        notified = True
    return notified
