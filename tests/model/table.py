"""A database with sessions at a table: what the players of an interleaving sit at."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from model import statements
from model.calls import Call
from model.steps import SESSIONS
from model.wire import Reply, Wire

EPOCH_2040 = 2_220_000_000_000
"""Where the clock begins: later than any real run, for no job may finish before it was made."""

# The clock is a sequence: whoever moves it waits for nobody, and all see it at once.
_OWN_CLOCK = f"""
    create sequence public.clock minvalue 0;
    select setval('public.clock', {EPOCH_2040});
    create or replace function rowqueue._now() returns timestamptz language sql volatile as $$
        select timestamptz 'epoch'
            + pg_catalog.pg_sequence_last_value('public.clock'::regclass) * interval '1 millisecond'
    $$
"""
# Nobody is to be saved from a deadlock by the server: it would never be noticed.
_SETTINGS = "set synchronous_commit = off; set deadlock_timeout = '1h'"


class Table:
    """Some sessions on a database whose clock is ours, and one more that observes them."""

    def __init__(self, dsn: str) -> None:
        """Opens the sessions, on a database with the schema in it."""
        self.now = EPOCH_2040
        self._observer = Wire(dsn)
        self._observer.run(_OWN_CLOCK)
        # The partitions of these months are made, and those of the real ones dropped: either would
        # make a call wait for others.
        self._observer.run("select rowqueue.tick()")
        self._observer.run("select rowqueue.purge_finished()")
        self._observer.prepare("clock", "select setval('public.clock', $1)")
        self._observer.prepare(
            "blocked",
            "select cardinality(pg_blocking_pids(u.pid)) from unnest($1::int[]) as u(pid)",
        )
        self._observer.prepare("take", statements.TAKE_ALL)
        self._observer.prepare("cancel", "select pg_cancel_backend($1)")
        self.wires = [Wire(dsn) for _ in range(SESSIONS)]
        for wire in self.wires:
            wire.run(_SETTINGS)
            wire.prepare("all", statements.READ_ALL)
            for kind, statement in statements.TO_CALL.items():
                wire.prepare(kind.__name__, statement)

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all sessions."""
        for wire in (*self.wires, self._observer):
            wire.close()

    def pass_time(self, milliseconds: int) -> int:
        """Moves the clock; returns what time it is then."""
        self.now += milliseconds
        self._observer.ask("clock", self.now)
        return self.now

    def send(self, session: int, call: Call) -> None:
        """A session makes a call."""
        self.wires[session].send(type(call).__name__, call.parameters())

    def replies(self, sessions: Iterable[int]) -> dict[int, Reply]:
        """Watches sessions until each has answered or waits for a lock; returns the answers."""
        unanswered = set(sessions)
        replies: dict[int, Reply] = {}
        while unanswered:
            answered = {session for session in unanswered if self.wires[session].answered(0.0005)}
            for session in answered:
                replies[session] = self.wires[session].answer()
            unanswered -= answered
            # Who answers just now may be the one that another one was seen waiting for.
            if (
                not answered
                and self._all_wait(unanswered)
                and not any(self.wires[session].answered() for session in unanswered)
            ):
                break
        return replies

    def _all_wait(self, sessions: Iterable[int]) -> bool:
        pids = ",".join(str(self.wires[session].pid) for session in sessions)
        reply = self._observer.ask("blocked", f"{{{pids}}}")
        return isinstance(reply, list) and all(count != "0" for (count,) in reply)

    def take_all(self) -> Reply:
        """All jobs, in the order of their ids; they are removed."""
        return self._observer.ask("take")

    def vacuum(self) -> None:
        """Clears up."""
        self._observer.run("vacuum rowqueue.jobs_live")
        self._observer.run("vacuum rowqueue.jobs_finished_default")

    def clear(self, waiting: Iterable[int]) -> None:
        """Ends whatever the sessions are in the middle of, and removes all jobs."""
        for session in waiting:
            self._observer.ask("cancel", self.wires[session].pid)
            self.wires[session].answer()
        for wire in self.wires:
            wire.run("rollback")
        self.take_all()
