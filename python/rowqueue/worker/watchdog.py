"""The watchdog: ends the process when the worker has come to a standstill.

A blocked event loop, a deadlock, a connection whose other end has fallen silent: from within
nothing more can be done about these, so the process ends, for its service manager to start it
anew. What it held comes back when the leases run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

logger = logging.getLogger("rowqueue")

STANDSTILL = 70
"""The exit code, as sysexits.h has it for an internal error."""

_LOOKS = 20
"""Looks within the limit, at least."""

_LONGEST_STEP = 1.0

_LAST_WORDS = 1.0
"""Seconds to write why: what the process hangs on may be its log."""

_NAME = "rowqueue-watchdog"
_LOOP = "the event loop"


@dataclass(frozen=True, slots=True)
class _Due:
    """A sign of life that must come."""

    since: int
    within: float


class Watchdog:
    """Waits for signs of life, on a thread of its own.

    Time is counted in looks, not by a clock: while the process is stopped, or the machine sleeps,
    nobody can give a sign, and nobody looks either.
    """

    def __init__(self, worker: str, limit: timedelta | None) -> None:
        """Watches nothing yet.

        Args:
            worker: whose it is, for the message.
            limit: how long without a sign of life is too long; None never ends anything.
        """
        self._worker = worker
        self._limit = limit.total_seconds() if limit is not None else math.inf
        self._step = min(_LONGEST_STEP, self._limit / _LOOKS)
        self._look = 0
        self._due: dict[str, _Due] = {}
        self._ending = threading.Event()

    def start(self, turn: Callable[[], None]) -> None:
        """Starts to watch the running event loop, which is to call `turn` at each look."""
        if self._limit < math.inf:
            self.sign(_LOOP)
            threading.Thread(
                target=self._run,
                args=(asyncio.get_running_loop(), turn),
                name=_NAME,
                daemon=True,
            ).start()

    def stop(self) -> None:
        """Ends the watch."""
        self._ending.set()

    def sign(self, who: str, *, more: float = 0, within: float | None = None) -> None:
        """Notes a sign of life: the next is due within the limit. From any thread.

        Args:
            who: whose, in words that fit the message.
            more: seconds beyond the limit that the next one may take.
            within: seconds in place of the limit.
        """
        within = self._limit + more if within is None else within
        self._due[who] = _Due(self._look, within)

    def rest(self, who: str) -> None:
        """Notes that no sign is due until the next one. From any thread."""
        self._due.pop(who, None)

    def _run(self, loop: asyncio.AbstractEventLoop, turn: Callable[[], None]) -> None:
        def answer() -> None:
            self.sign(_LOOP)
            turn()

        while not self._ending.wait(self._step):
            self._look += 1
            if loop.is_closed():
                self.rest(_LOOP)
            with contextlib.suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(answer)
            for who, due in list(self._due.items()):
                if (self._look - due.since) * self._step > due.within:
                    self._end(f"no sign of life from {who} for {due.within:g} s")

    def _end(self, why: str) -> None:
        line = f"worker {self._worker}: {why}, this process ends with exit code {STANDSTILL}"
        if not _within(_LAST_WORDS, lambda: logger.critical("%s", line)):
            _within(_LAST_WORDS, lambda: _write(line))
        _within(_LAST_WORDS, lambda: _write(_stacks()))
        os._exit(STANDSTILL)


def guard_interpreter(limit: timedelta) -> None:
    """Ends a process in which no Python can run, twice the limit after the last that did.

    C code that waits while it holds the interpreter's lock keeps every thread from running, the
    watchdog's too. Only faulthandler's thread needs no lock; it writes where each thread stands,
    and its exit code is 1. There is one for each process, so this is for processes of our own.
    """
    seconds = limit.total_seconds()

    def put_off() -> None:
        while True:
            faulthandler.dump_traceback_later(2 * seconds, exit=True)
            time.sleep(min(_LONGEST_STEP, seconds / _LOOKS))

    threading.Thread(target=put_off, name=_NAME, daemon=True).start()


def _write(text: str) -> None:
    """Writes to stderr past all that may hold locks."""
    os.write(2, f"{text}\n".encode(errors="replace"))


def _stacks() -> str:
    """Returns where each thread stands: with that it can be told what hangs."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if names.get(ident) not in (_NAME, threading.current_thread().name)
    )


def _within(seconds: float, work: Callable[[], object]) -> bool:
    """Does something on another thread; false if it takes longer than that."""

    def run() -> None:
        with contextlib.suppress(Exception):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
