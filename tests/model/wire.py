"""Sessions on the level of the protocol: they can be left waiting, and cost little."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

from psycopg import pq

from model.calls import Row

Reply = list[Row] | str
"""The rows of an answer, all text, or an SQLSTATE."""


class Wire:
    """A session."""

    def __init__(self, dsn: str) -> None:
        """Connects."""
        self._pg = pq.PGconn.connect(dsn.encode())
        if self._pg.status != pq.ConnStatus.OK:
            raise ConnectionError(self._pg.get_error_message())
        self.pid = self._pg.backend_pid
        self._before = ""
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)

    def close(self) -> None:
        """Ends the session."""
        self._pg.finish()

    def begin(self) -> None:
        """Begins a transaction, with what is sent next: that saves a way."""
        self._before += "begin;"

    def end(self, how: str) -> None:
        """Ends a transaction."""
        if self._before.endswith("begin;"):
            self._before = self._before.removesuffix("begin;")
        else:
            self.run(how)

    def has_failed(self) -> None:
        """Leaves a transaction that an error has ended, with what is sent next."""
        if self._pg.transaction_status == pq.TransactionStatus.INERROR:
            self._before = "rollback;"

    def run(self, statements: str) -> None:
        """Runs statements for their effect, and nothing that was to be sent before."""
        self._before = ""
        result = self._pg.exec_(statements.encode())
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise RuntimeError(result.get_error_message())

    def prepare(self, name: str, statement: str) -> None:
        """Prepares a statement under a name."""
        result = self._pg.prepare(name.encode(), statement.encode())
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise RuntimeError(result.get_error_message())

    def ask(self, name: str, *parameters: Any) -> Reply:
        """Runs a prepared statement."""
        self.send(name, parameters)
        return self.answer()

    def send(self, name: str, parameters: Sequence[Any]) -> None:
        """Sends a prepared statement."""
        if not self._before:
            self._pg.send_query_prepared(name.encode(), _as_text(parameters))
            return
        values = ",".join("null" if value is None else f"'{value}'" for value in parameters)
        call = f'execute "{name}" ({values})' if parameters else f'execute "{name}"'
        self._pg.send_query(f"{self._before} {call}".encode())
        self._before = ""

    def answered(self, within: float = 0) -> bool:
        """Whether the answer to what was sent is there, or comes within some seconds."""
        while self._pg.is_busy():
            if not self._poll.poll(within * 1000):
                return False
            self._pg.consume_input()
        return True

    def answer(self) -> Reply:
        """The answer, once it is there."""
        results: list[pq.abc.PGresult] = []
        while (result := self._pg.get_result()) is not None:
            results.append(result)
        return _reply(results[-1])


def _as_text(parameters: Sequence[Any]) -> list[bytes | None]:
    return [None if value is None else str(value).encode() for value in parameters]


def _reply(result: pq.abc.PGresult) -> Reply:
    if result.status != pq.ExecStatus.TUPLES_OK:
        sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE)
        if sqlstate is None:
            raise ConnectionError(result.get_error_message())
        return sqlstate.decode()
    columns = range(result.nfields)
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else value.decode()
            for column in columns
        )
        for row in range(result.ntuples)
    ]
