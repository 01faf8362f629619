"""Sessions that may have to wait for one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg

from support.waiting import eventually, is_blocked

Params = Sequence[Any] | Mapping[str, Any] | None


class Answer:
    """What a session answers to a statement, once it does."""

    def __init__(self, future: Future[list[Any]], pid: int, observer: psycopg.Connection) -> None:
        self._future = future
        self._pid = pid
        self._observer = observer

    def waits(self) -> bool:
        """Returns once the statement has ended or waits for a lock: whether it waits."""
        seen = eventually(
            lambda: "ended" if self._future.done() else self._is_blocked() and "waits",
            what=f"session {self._pid} to end its statement or to wait",
        )
        return seen == "waits"

    def rows(self) -> list[Any]:
        """Waits for the answer and returns its rows, or raises the statement's error."""
        return self._future.result(timeout=60)

    def value(self) -> Any:
        """Waits for the answer and returns its only value."""
        [[value]] = self.rows()
        return value

    def _is_blocked(self) -> bool:
        return is_blocked(self._observer, self._pid)


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
