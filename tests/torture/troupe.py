"""The processes that take part: started, replaced when they die, stopped in the end."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from torture import cast, proxy
from torture.scene import KILL_POINTS, Fate, Part, Scene, in_rounds

_FATED = 0.6
_PASSES = {"claimed": 15, "running": 1000, "effect": 30, "sent": 20}
"""How often an actor comes to a kill point, on the average, before it dies there."""

_LAST_WORDS = 15.0

# A server of forks has imported everything already: a life begins in a few milliseconds.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["torture.cast"])


class Troupe:
    """All actors.

    Attributes:
        broken: the parts whose process ended with an error of its own, which is no fault but a
            mistake in these tests.
        ended: how lives ended: by a signal's name, or by ``exit``.
    """

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        """Begins empty."""
        self._scene = scene
        self._dice = dice
        self._points = in_rounds(KILL_POINTS, dice)
        self._playing: dict[str, tuple[Part, ForkServerProcess]] = {}
        self._leash, self._own_end = _context.Pipe(duplex=False)
        self.fated = True
        self.broken: list[Part] = []
        self.ended: Counter[str] = Counter()

    def start(self, part: Part) -> None:
        """Begins a life."""
        if self.fated and "kill_point" in self._scene.faults and part.role in ("worker", "raw"):
            part = _with_fate(part, self._draw_fate())
        process = _context.Process(target=cast.act, args=(self._scene, part, self._leash))
        process.start()
        self._playing[part.name] = (part, process)

    def _draw_fate(self) -> Fate | None:
        if self._dice.random() > _FATED:
            return None
        point = next(self._points)
        return Fate(point, 1 + int(self._dice.expovariate(1 / _PASSES[point])))

    def replace_the_dead(self) -> None:
        """Gives everyone who has died another life; who is done is done."""
        for part, process in list(self._playing.values()):
            code = process.exitcode
            if code is None:
                continue
            del self._playing[part.name]
            self.ended[signal.Signals(-code).name if code < 0 else "exit"] += 1
            if code > 0:
                self.broken.append(part)
            if code != 0 or part.role == "worker":  # a worker gives up when it can't connect
                self.start(Part(part.role, part.number, part.life + 1, part.quota))

    def has(self, role: str) -> bool:
        """Whether anyone plays this."""
        return any(part.role == role for part, _ in self._playing.values())

    def pick(self, *roles: str) -> Part | None:
        """Picks someone who is alive; of any role, if none is given."""
        parts = [
            part
            for part, process in self._playing.values()
            if process.exitcode is None and (not roles or part.role in roles)
        ]
        return self._dice.choice(parts) if parts else None

    def signal(self, part: Part, number: signal.Signals) -> bool:
        """Sends a signal to a life, unless it is over: then false."""
        playing, process = self._playing.get(part.name, (None, None))
        if playing is None or process is None or playing.process != part.process:
            return False
        if process.exitcode is not None or process.pid is None:
            return False
        os.kill(process.pid, number)
        return True

    def dismiss(self, *roles: str) -> None:
        """Lets these, or all, come to an end by themselves, and kills who does not."""
        leaving = [
            (part, process)
            for part, process in self._playing.values()
            if not roles or part.role in roles
        ]
        for _, process in leaving:
            process.terminate()
        deadline = time.monotonic() + _LAST_WORDS
        for part, process in leaving:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                self.broken.append(part)
                process.kill()
                process.join()
            elif process.exitcode > 0:
                self.broken.append(part)
            del self._playing[part.name]

    def disband(self) -> None:
        """Kills all who are left."""
        for _, process in self._playing.values():
            process.kill()
            process.join()
        self._playing.clear()


class Proxy:
    """The proxy's process, and the pipe to it."""

    def __init__(self, port: int, seed: int) -> None:
        """Starts it in front of the server at this port."""
        self._orders, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(port, seed, theirs))
        self._process.start()
        theirs.close()
        self.port: int = self._orders.recv()

    def order(self, order: proxy.Order) -> None:
        """Tells it what to do."""
        self._orders.send(order)

    def reports(self) -> Iterator[tuple[proxy.Order, str]]:
        """Yields what it has done since: an order, and the application_name that it met."""
        while self._orders.poll():
            report: Any = self._orders.recv()
            yield report

    def stop(self) -> None:
        """Ends it."""
        self._orders.close()
        self._process.join()


def _serve(port: int, seed: int, orders: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the conductor's to hear
    proxy.serve(port, seed, orders)


def _with_fate(part: Part, fate: Fate | None) -> Part:
    return Part(part.role, part.number, part.life, part.quota, fate)
