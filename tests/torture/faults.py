"""Faults: a deck of cards, drawn with the run's dice and dealt one after the other."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rowqueue import calls, client
from torture import mix, proxy
from torture.database import Database
from torture.history import History
from torture.line import Line, going_on
from torture.scene import Scene, in_rounds
from torture.troupe import Proxy, Troupe

IN_A_ROUND = {
    "sigkill": 16,
    "sigstop": 3,
    "terminate_backend": 3,
    "immediate_stop": 1,
    "postmaster_kill": 1,
    "backend_kill": 1,
    "cut": 3,
    "half_open": 1,
    "drop_reply": 7,
    "blocked_loop": 1,
    "poison": 3,
    "clock_jump": 2,
}
"""How many cards of each kind there are."""

BY_THEMSELVES = frozenset(
    {
        "kill_point",
        *("reset", "reset_one", "retry", "purge", "migrate", "snapshot", "vacuum", "reindex"),
    }
)
"""Faults that no card stands for: actors see to them."""

ALL = frozenset(IN_A_ROUND) - {"clock_jump"} | BY_THEMSELVES
"""All that a run has unless it is told otherwise. Jumps of the clock are a run of their own: leases
that overlap by the clock prove nothing there. (And nothing is purged, for a month may have passed.)
"""

DATABASE_CRASHES = ("immediate_stop", "postmaster_kill", "backend_kill")

_COMMITTERS = ("hot", "hot", "producer", "handler", "raw", "rowqueue finish", "")
_JUMPS = (3600, -3600, 7 * 86400, -60, 60)


class Faults:
    """Deals faults, and puts right what was only to last a while.

    Attributes:
        dealt: how many of each kind there have been.
        rounds: how often every kind has been dealt.
    """

    def __init__(
        self,
        scene: Scene,
        database: Database,
        troupe: Troupe,
        link: Proxy,
        line: Line,
        history: History,
        dice: random.Random,
    ) -> None:
        """Deals nothing yet."""
        self._scene = scene
        self._database = database
        self._troupe = troupe
        self._link = link
        self._line = line
        self._history = history
        self._dice = dice
        deck = [
            kind
            for kind, number in IN_A_ROUND.items()
            for _ in range(number)
            if kind in scene.faults
        ]
        self._cards = in_rounds(deck, dice)
        self._in_a_round = len(deck)
        self._count = 0
        self._numbers = itertools.count(1)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self.dealt: Counter[str] = Counter()

    @property
    def rounds(self) -> int:
        """How often the whole deck has been dealt."""
        return self._count // self._in_a_round if self._in_a_round else 1

    def deal(self) -> None:
        """Deals the next card."""
        if not self._in_a_round:
            return
        kind = next(self._cards)
        self._count += 1
        getattr(self, f"_{kind}")()

    def look_after(self) -> None:
        """Ends what has lasted long enough, and writes down what the proxy has done."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        for order, application in self._link.reports():
            match order:
                case proxy.DropReply():
                    self._note("drop_reply", target=application, blindly=order.blindly)
                case proxy.Cut():
                    self._note("cut", target=application)
                case proxy.Hang():
                    self._note("half_open", target=application, seconds=order.seconds)

    def end(self) -> None:
        """Puts everything right, at once."""
        while self._later:
            heapq.heappop(self._later)[2]()
        self.look_after()
        if self.dealt["clock_jump"]:
            # Leases and delays that were given while the clock was ahead have passed by then.
            self._set_clock(max(_JUMPS))

    def _note(self, kind: str, **fields: Any) -> None:
        self.dealt[kind] += 1
        self._history.note("fault", key=kind, **fields)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), what))

    def _sigkill(self) -> None:
        if part := self._troupe.pick():
            self._note("sigkill", target=part.process)
            self._troupe.signal(part, signal.SIGKILL)

    def _sigstop(self) -> None:
        """Stops a process for longer than its leases last."""
        if part := self._troupe.pick("worker", "worker", "raw", "producer", "keeper"):
            self._note("sigstop", target=part.process)
            self._troupe.signal(part, signal.SIGSTOP)

            def go_on() -> None:
                if self._troupe.signal(part, signal.SIGCONT):
                    self._note("sigcont", target=part.process)

            self._after(self._lease + self._dice.uniform(0.3, 2), go_on)

    def _terminate_backend(self) -> None:
        pid, application = self._pick_backend()
        self._note("terminate_backend", target=application)
        with going_on():
            self._line.get().execute("select pg_terminate_backend(%s)", [pid])

    def _pick_backend(self) -> tuple[int, str]:
        backends: list[tuple[int, str]] = []
        while not backends:  # a connection may have been lost since it was last used
            with going_on():
                backends += self._line.get().execute(
                    "select pid, application_name from pg_stat_activity"
                    " where backend_type = 'client backend' order by application_name, pid"
                )
        return self._dice.choice(backends)

    def _immediate_stop(self) -> None:
        self._note("immediate_stop")
        self._database.crash_immediately()

    def _postmaster_kill(self) -> None:
        self._note("postmaster_kill")
        self._database.kill_postmaster()

    def _backend_kill(self) -> None:
        """Kills a backend as the kernel does: the server ends all others and recovers."""
        pid, application = self._pick_backend()
        self._note("backend_kill", target=application)
        self._database.kill_backend(pid)

    def _cut(self) -> None:
        self._link.order(proxy.Cut(self._dice.randint(1, 3)))

    def _half_open(self) -> None:
        self._link.order(proxy.Hang(self._dice.randint(1, 3), self._lease + 1))

    def _drop_reply(self) -> None:
        application = self._dice.choice(_COMMITTERS)
        self._link.order(proxy.DropReply(application, self._dice.random() < 0.3))

    def _blocked_loop(self) -> None:
        self._enqueue("block")

    def _poison(self) -> None:
        self._enqueue("poison")
        self.dealt["poison"] += 1

    def _enqueue(self, job_type: str) -> None:
        """Puts in a job that is itself the fault; once more, if it is in doubt whether it is in."""
        arrived = False
        while not arrived:
            job = mix.of_type(self._dice, f"conductor:{next(self._numbers)}", job_type)
            said = {name: value for name, value in job.items() if name != "payload"}
            with going_on():
                connection = self._line.get()
                with self._history.call("enqueue", key=job["payload"]["key"], **said) as call:
                    call.reply(job=client.run(connection, calls.enqueue(**job)))
                arrived = True

    def _clock_jump(self) -> None:
        """Sets the server's clock, for a while."""
        self._set_clock(self._dice.choice(_JUMPS))
        self._after(self._dice.uniform(2, 6), lambda: self._set_clock(0))

    def _set_clock(self, seconds: int) -> None:
        offset = timedelta(seconds=seconds)
        jump = (offset - self._database.offset).total_seconds()
        if jump:
            self._note("clock_jump", seconds=jump)
            self._database.move_clock(offset)

    @property
    def _lease(self) -> float:
        return self._scene.lease.total_seconds()
