"""Where a benchmark runs: the database given, or a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from rowqueue.benchmark.names import APPLICATION
from rowqueue.embedded import EmbeddedPostgres
from rowqueue.migrate import migrate
from rowqueue.pooler import Pooler, find_pooler

Session = psycopg.Connection[Any]
AsyncSession = psycopg.AsyncConnection[Any]

_LOCK = "hashtext('rowqueue bench')"
_OPTIONS: dict[str, Any] = {"autocommit": True, "application_name": APPLICATION}


class BenchmarkError(Exception):
    """The benchmark can't go on."""


@dataclass(frozen=True, slots=True)
class Place:
    """How to get to the database.

    Attributes:
        dsn: the connection string.
        own: whether the server was started for this run.
        pooler: what stands in between.
    """

    dsn: str
    own: bool
    pooler: Pooler

    @property
    def shared(self) -> bool:
        """Whether sessions are shared with other clients, so that nothing may be left in one."""
        return self.pooler is Pooler.TRANSACTION

    def connect(self) -> Session:
        """Opens a session in autocommit."""
        return psycopg.connect(self.dsn, **self._options)

    async def connect_async(self) -> AsyncSession:
        """Opens an asynchronous session in autocommit."""
        return await psycopg.AsyncConnection.connect(self.dsn, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        return {**_OPTIONS, **({"prepare_threshold": None} if self.shared else {})}


@contextmanager
def open_place(dsn: str | None) -> Iterator[Place]:
    """Yields the database given, or a new one.

    Raises:
        psycopg.Error, EmbeddedError: it is not to be had.
    """
    if dsn is not None:
        yield Place(dsn, own=False, pooler=find_pooler(dsn, application_name=APPLICATION))
    else:
        with EmbeddedPostgres() as postgres:
            migrate(postgres.dsn)
            yield Place(postgres.dsn, own=True, pooler=Pooler.NONE)


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Sees to it that no other run is under way in this database.

    Behind a transaction pooler it can't: a lock would stay with the server's session.

    Raises:
        BenchmarkError: there is one.
    """
    if place.shared:
        yield
        return
    with place.connect() as session:
        free = session.execute(f"select pg_try_advisory_lock({_LOCK})").fetchone()
        if not free or not free[0]:
            raise BenchmarkError("another benchmark runs in this database")
        yield
