"""What an actor is told, and what all actors have: a name, a history, a way to die."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar
from uuid import UUID

import psycopg

from torture.history import History

T = TypeVar("T")

QUEUES = ("default", "mail", "bulk")
WORKSPACES = tuple(UUID(f"01890000-0000-7000-8000-{n:012d}") for n in range(1, 6))

KILL_POINTS = ("claimed", "running", "effect", "sent")
"""Where an actor may kill itself: after a claim and before the first start, in a handler, between
the effect and its completion, and when a commit was sent and its reply has not come."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a life ends, if nothing ends it before: the so many-th time it comes there."""

    point: str
    after: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The run, as every actor sees it.

    Attributes:
        folder: where the histories are written.
        seed: the run's.
        dsn: straight to the server.
        proxied: the same through the proxy.
        lease: how long a claim lasts.
        faults: the names of the faults that happen in this run.
        backlog: how many live jobs there should be at most.
    """

    folder: Path
    seed: int
    dsn: str
    proxied: str
    lease: timedelta
    faults: frozenset[str]
    backlog: int


@dataclass(frozen=True, slots=True)
class Part:
    """One life of an actor.

    Attributes:
        role: what it does: a name in `torture.cast`.
        number: which of its role it is, from 1.
        life: how often it has begun anew, from 1.
        quota: how many jobs are its to make, if it makes any.
        fate: where it kills itself, if so.
    """

    role: str
    number: int
    life: int = 1
    quota: int = 0
    fate: Fate | None = None

    @property
    def name(self) -> str:
        """The actor, over all its lives."""
        return f"{self.role}-{self.number}"

    @property
    def process(self) -> str:
        """This life of it, in histories."""
        return f"{self.name}.{self.life}"


class Actor:
    """A part as it is played, in the process that plays it."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Opens its history, and lets SIGTERM end it when it next looks."""
        self.scene = scene
        self.part = part
        self.history = History.open(scene.folder, part.process)
        self.random = random.Random(f"{scene.seed}/{part.process}")
        self.leaving = threading.Event()
        self._passes_left = part.fate.after if part.fate else 0
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the conductor's to hear

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self.leaving.set()

    def pass_by(self, point: str) -> None:
        """Comes to a kill point, and dies there if it is time."""
        if self.meets_its_end(point):
            self.die(point)

    def meets_its_end(self, point: str) -> bool:
        """Whether it is to die at this point now; then the caller must see to it."""
        if self.part.fate is None or self.part.fate.point != point:
            return False
        self._passes_left -= 1
        return self._passes_left == 0

    def die(self, point: str) -> NoReturn:
        """Kills this process as the kernel does when memory runs out."""
        self.history.note("fault", key="sigkill", target=self.part.process, point=point)
        while True:
            os.kill(os.getpid(), signal.SIGKILL)

    def die_committing(self, connection: psycopg.pq.abc.PGconn) -> NoReturn:
        """Sends a commit and kills this process before the reply can be read."""
        connection.send_query(b"commit")
        while connection.flush():
            pass
        self.die("sent")


class Tally:
    """A number that survives its process: how many jobs a producer has made over its lives."""

    def __init__(self, scene: Scene, name: str) -> None:
        """Goes on where the file of this name left off."""
        self._file = os.open(scene.folder / f"{name}.tally", os.O_RDWR | os.O_CREAT, 0o644)

    @property
    def count(self) -> int:
        """What it has come to."""
        return int.from_bytes(os.pread(self._file, 8, 0), "little")

    def add(self, number: int) -> None:
        """Counts on."""
        os.pwrite(self._file, (self.count + number).to_bytes(8, "little"), 0)


def in_rounds(things: Iterable[T], dice: random.Random) -> Iterator[T]:
    """Yields all things over and over, each round in an order of its own."""
    deck = list(things)
    while deck:
        dice.shuffle(deck)
        yield from deck
