"""Connections that are opened again, however often they are lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

_PAUSE = 0.05

Connection = psycopg.Connection[Any]


class Left(Exception):
    """The actor is to leave while it waits for the database."""


class Line:
    """A connection of an actor."""

    def __init__(self, dsn: str, application: str, leaving: threading.Event) -> None:
        """Opens nothing yet.

        Args:
            dsn: the database.
            application: the application_name by which others know it.
            leaving: ends the attempts to connect.
        """
        self._dsn = dsn
        self._application = application
        self._leaving = leaving
        self._connection: Connection | None = None

    def get(self) -> Connection:
        """Returns the open connection, in autocommit and outside a transaction.

        Raises:
            Left: the actor is to leave, and the database is out of reach.
        """
        if self._connection is not None:
            if self._is_fine(self._connection):
                return self._connection
            self.close()
        while True:
            try:
                self._connection = psycopg.connect(
                    self._dsn, autocommit=True, application_name=self._application
                )
            except psycopg.OperationalError:
                if self._leaving.wait(_PAUSE):
                    raise Left from None
            else:
                return self._connection

    def close(self) -> None:
        """Closes it; the next `get` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @staticmethod
    def _is_fine(connection: Connection) -> bool:
        status = connection.info.transaction_status
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
        return connection.info.transaction_status is TransactionStatus.IDLE


@contextlib.contextmanager
def going_on() -> Iterator[None]:
    """Lets an actor go on after an error of the database, which its history has noted.

    But not after one that says that the statement itself is wrong.
    """
    try:
        yield
    except psycopg.Error as error:
        if (error.sqlstate or "").startswith("42"):
            raise
