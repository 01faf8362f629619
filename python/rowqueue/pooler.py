"""Finds out whether a pooler such as PgBouncer stands between us and the server.

In transaction mode it lends its sessions out by the transaction: what is prepared is looked for in
another session, what is set leaks to other clients, and who listens hears nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from psycopg import AsyncConnection, Connection

_OPTIONS: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
_PROCESS = "select pg_backend_pid()"

_LOOKS = 4
"""How often both clients look: on a busy pooler they may seldom meet in one process."""


class Pooler(Enum):
    """What stands between us and the server, as far as can be seen from here."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


def find_pooler(dsn: str, **options: Any) -> Pooler:
    """Returns what stands between us and a server.

    A pooler hands out process ids of its own. One that keeps sessions gives each client a server
    process and stays with it; one that lends them by the transaction changes it, or gives the same
    to another client who asks in between.

    Args:
        dsn: a connection string.
        options: further arguments of ``psycopg.connect``.

    Raises:
        psycopg.OperationalError: the database is out of reach.
    """
    with Connection.connect(dsn, **_OPTIONS, **options) as one:
        ours, theirs = {_process(one)}, set[int]()
        if ours == {one.info.backend_pid}:
            return Pooler.NONE
        with Connection.connect(dsn, **_OPTIONS, **options) as other:
            for _ in range(_LOOKS):
                theirs.add(_process(other))
                ours.add(_process(one))
    return _which(ours, theirs)


async def find_pooler_async(dsn: str, **options: Any) -> Pooler:
    """Does the same on a running event loop."""
    async with await AsyncConnection.connect(dsn, **_OPTIONS, **options) as one:
        ours, theirs = {await _process_async(one)}, set[int]()
        if ours == {one.info.backend_pid}:
            return Pooler.NONE
        async with await AsyncConnection.connect(dsn, **_OPTIONS, **options) as other:
            for _ in range(_LOOKS):
                theirs.add(await _process_async(other))
                ours.add(await _process_async(one))
    return _which(ours, theirs)


def _which(ours: set[int], theirs: set[int]) -> Pooler:
    kept = len(ours) == len(theirs) == 1 and ours != theirs
    return Pooler.SESSION if kept else Pooler.TRANSACTION


def prepare_nothing_through(connection: Connection[Any]) -> None:
    """Sees to it that a new connection prepares no statements if it leads through a pooler."""
    threshold, connection.prepare_threshold = connection.prepare_threshold, None
    if _process(connection) == connection.info.backend_pid:
        connection.prepare_threshold = threshold


async def prepare_nothing_through_async(connection: AsyncConnection[Any]) -> None:
    """Does the same for an asynchronous connection."""
    threshold, connection.prepare_threshold = connection.prepare_threshold, None
    if await _process_async(connection) == connection.info.backend_pid:
        connection.prepare_threshold = threshold


def _process(connection: Connection[Any]) -> int:
    row = connection.execute(_PROCESS).fetchone()
    assert row is not None
    return int(row[0])


async def _process_async(connection: AsyncConnection[Any]) -> int:
    row = await (await connection.execute(_PROCESS)).fetchone()
    assert row is not None
    return int(row[0])
