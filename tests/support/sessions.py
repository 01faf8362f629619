"""Sessions that may have to wait for one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import psycopg

from support.waiting import eventually, is_blocked

Params = Sequence[Any] | Mapping[str, Any] | None


@contextmanager
def open_transaction(session: psycopg.Connection, ending: str = "commit") -> Iterator[None]:
    """A transaction that other sessions see from outside; it ends however the test fares."""
    session.execute("begin")
    try:
        yield
    finally:
        session.execute(ending)


class Answer:
    """What a session answers to a statement, once it does."""

    def __init__(self, future: Future[list[Any]], pid: int, observer: psycopg.Connection) -> None:
        self._future = future
        self._pid = pid
        self._observer = observer

    def waits(self, for_: Session | None = None) -> bool:
        """Returns once the statement has ended or waits for a lock: whether it waits.

        Args:
            for_: the session that it is to wait for; any if left out.
        """
        return eventually(lambda: self._state(for_), what=f"session {self._pid}") == "waits"

    def rows(self) -> list[Any]:
        """Waits for the answer and returns its rows, or raises the statement's error."""
        return self._future.result(timeout=60)

    def value(self) -> Any:
        """Waits for the answer and returns its only value."""
        [[value]] = self.rows()
        return value

    def _state(self, for_: Session | None) -> str | None:
        wait([self._future], timeout=0.002)
        if self._future.done():
            return "ended"
        if for_ is None:
            blocked = is_blocked(self._observer, self._pid)
        else:
            query = "select %s = any(pg_blocking_pids(%s))"
            blocked = self._observer.execute(query, [for_.pid, self._pid]).fetchone() == (True,)
        return "waits" if blocked else None


class Session:
    """A session with a thread of its own, so that a statement of it can be left waiting."""

    def __init__(self, connection: psycopg.Connection, observer: psycopg.Connection) -> None:
        """Takes over a connection; the observer's is used to see what it waits for."""
        self.connection = connection
        self.pid = connection.info.backend_pid
        self._observer = observer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"session-{self.pid}")

    def start(self, statement: str, params: Params = None) -> Answer:
        """Sends a statement and doesn't wait for its answer."""
        future = self._thread.submit(self._execute, statement, params)
        return Answer(future, self.pid, self._observer)

    def execute(self, statement: str, params: Params = None) -> list[Any]:
        """Sends a statement and returns the rows of its answer."""
        return self.start(statement, params).rows()

    def value(self, statement: str, params: Params = None) -> Any:
        """Sends a statement and returns the only value of its answer."""
        return self.start(statement, params).value()

    def close(self) -> None:
        """Ends the session, whatever it is doing."""
        self._observer.execute("select pg_cancel_backend(%s)", [self.pid])
        self._thread.shutdown()
        self.connection.close()

    def _execute(self, statement: str, params: Params) -> list[Any]:
        cursor = self.connection.execute(statement, params)
        return cursor.fetchall() if cursor.description else []
