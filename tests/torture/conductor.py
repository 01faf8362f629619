"""A run: everyone plays while faults are dealt, then all is let drain."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from psycopg.conninfo import make_conninfo

from rowqueue import schema
from rowqueue.migrate import migrate
from torture import cast
from torture.checker import recorder
from torture.database import Database
from torture.faults import DATABASE_CRASHES, Faults
from torture.history import History
from torture.line import Line, going_on
from torture.scene import Part, Scene, Tally
from torture.troupe import Proxy, Troupe

_LOOK_EVERY = 0.05
_SAY_EVERY = 10.0
_DRAINED_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be.

    Attributes:
        jobs: how many jobs the producers make.
        seed: of all dice.
        faults: which faults there are.
        folder: where the cluster and the histories are put.
        version: PostgreSQL's major version; an installed one if None.
        lease: seconds that a claim lasts.
        pace: seconds between two faults.
        backlog: how many live jobs there are at most, about.
    """

    jobs: int
    seed: int
    faults: frozenset[str]
    folder: Path
    version: str | None
    lease: float
    pace: float
    backlog: int


class Conductor:
    """Leads a run.

    Attributes:
        troupe, faults: who took part, and what was done to them; they can be asked afterwards.
        seconds: how long the jobs took, drain included.
        histories: the folder with what everyone wrote.
    """

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        """Prepares a run; `say` hears how it goes."""
        self._options = options
        self._say = say
        self._dice = random.Random(options.seed)
        self._stack = ExitStack()
        self._database = Database(
            options.folder / "cluster", options.version, clock="clock_jump" in options.faults
        )
        self.histories = options.folder / "histories"
        self.seconds = 0.0

    @property
    def dsn(self) -> str:
        """The database, while it runs."""
        return self._database.dsn

    def __enter__(self) -> Conductor:
        """Starts the server and the proxy, and installs the schema."""
        options = self._options
        self.histories.mkdir(parents=True)
        try:
            self._stack.callback(self._database.stop)
            self._database.start()
            self._line = Line(self._database.dsn, "conductor", threading.Event())
            connection = self._line.get()
            migrate(self._database.dsn)
            connection.execute(schema.render().encode())  # the same, unless it is being worked on
            recorder.install(connection)
            proxy = Proxy(self._database.port, options.seed)
            self._stack.callback(proxy.stop)
            scene = self._scene = Scene(
                folder=self.histories,
                seed=options.seed,
                dsn=self._database.dsn,
                proxied=make_conninfo(self._database.dsn, port=proxy.port),
                lease=timedelta(seconds=options.lease),
                faults=options.faults,
                backlog=options.backlog,
            )
            self.troupe = Troupe(scene, self._dice)
            self._stack.callback(self.troupe.disband)
            history = self._stack.enter_context(History.open(self.histories, "conductor"))
            self.faults = Faults(
                scene, self._database, self.troupe, proxy, self._line, history, self._dice
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Ends everyone, the proxy and the server."""
        self._stack.close()

    def run(self) -> bool:
        """Plays the run to its end and writes the facts; returns whether the queue drained."""
        began = time.monotonic()
        quota = -(-self._options.jobs // cast.NUMBERS["producer"])
        for role, number in cast.NUMBERS.items():
            for n in range(1, number + 1):
                self.troupe.start(Part(role, n, quota=quota if role == "producer" else 0))
        self._play()
        drained = self._drain()
        self.seconds = time.monotonic() - began
        self._write_facts(drained)
        return drained

    def _play(self) -> None:
        """Deals faults until all jobs are made, and each fault has been there."""
        next_card = time.monotonic() + 1.0
        next_word = time.monotonic() + _SAY_EVERY
        while self.troupe.has("producer") or not self.faults.rounds:
            time.sleep(_LOOK_EVERY)
            self.troupe.replace_the_dead()
            self.faults.look_after()
            now = time.monotonic()
            if now >= next_card:
                self.faults.deal()
                next_card = time.monotonic() + self._options.pace * self._dice.uniform(0.5, 1.5)
            if now >= next_word:
                self._say(self._state())
                next_word = now + _SAY_EVERY

    def _drain(self) -> bool:
        """Ends all faults, and waits until no job is left."""
        self._say(f"{self._state()}; no more faults")
        self.faults.end()
        self.troupe.fated = False
        self.troupe.dismiss("dba", "canceller")
        deadline = time.monotonic() + _DRAINED_WITHIN
        left: int | None = None
        while left != 0 and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
            self.troupe.replace_the_dead()
            with going_on():
                row = self._line.get().execute("select count(*) from rowqueue.jobs_live").fetchone()
                left = row[0] if row else None
        self.faults.look_after()
        self.troupe.dismiss()
        return left == 0

    def _state(self) -> str:
        tallies = (
            Tally(self._scene, f"producer-{n + 1}").count for n in range(cast.NUMBERS["producer"])
        )
        dealt = self.faults.dealt
        return (
            f"{sum(tallies):,} of {self._options.jobs:,} jobs made, "
            f"{self.troupe.ended['SIGKILL']} processes killed, "
            f"{sum(dealt[kind] for kind in DATABASE_CRASHES)} database crashes"
        )

    def _write_facts(self, drained: bool) -> None:
        options = self._options
        facts = {
            "seed": options.seed,
            "commit": commit(),
            "postgres": self._version(),
            "jobs": options.jobs,
            "faults": sorted(options.faults),
            "clock_jumps": "clock_jump" in options.faults,
            "drained": drained,
        }
        (self.histories / "run.json").write_text(json.dumps(facts, indent=2) + "\n")

    def _version(self) -> str:
        row = self._line.get().execute("show server_version").fetchone()
        return str(row[0]) if row else "?"


def commit() -> str:
    """Returns the commit that is tried, with a plus sign if the tree differs from it."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
