"""Ctrl-C and its like, turned into an orderly end."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Makes SIGTERM and SIGHUP act like Ctrl-C, and lets none of them come at a bad moment."""

    def __init__(self) -> None:
        """Changes nothing yet."""
        self._held = False
        self._came = False

    def __enter__(self) -> Self:
        """Takes over the signals; those that are ignored stay ignored."""
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Puts everything back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From now on an interrupt waits for the next `check`."""
        self._held = True

    def check(self) -> None:
        """Lets an interrupt that waits come through.

        Raises:
            KeyboardInterrupt: there is one.
        """
        if self._came:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            raise KeyboardInterrupt
        self._came = True
