"""The worker's own connections: how they notice that the other end is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

from rowqueue.pooler import Pooler, find_pooler_async
from rowqueue.worker.settings import Settings
from rowqueue.worker.watchdog import Watchdog

AsyncConnection = psycopg.AsyncConnection[Any]

Result = TypeVar("Result")

CLAIMS = "the claims"
"""What the watchdog calls the attempts to claim."""

# A link whose other end is gone without a word is noticed within ten seconds: when it is idle
# after five (keepalives), and 4.5 after something was sent (tcp_user_timeout), which may happen
# just before those five are over.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 4500,
}

# The server is told the same, lest the sessions of a worker whose host is gone stay for hours.
_NETWORK_OF_SERVER = {
    "keepalives_idle": "tcp_keepalives_idle",
    "keepalives_interval": "tcp_keepalives_interval",
    "keepalives_count": "tcp_keepalives_count",
    "tcp_user_timeout": "tcp_user_timeout",
}

# Somebody's open transaction on one job must not hold up the reports on all others, and least of
# all the heartbeat.
_LONGEST_LOCK_WAIT_MS = 500
_LONGEST_HEARTBEAT_LOCK_WAIT_MS = 200


def connect(settings: Settings, purpose: str, alive: Callable[[], None]) -> Connection:
    """Opens a connection that blocks, for the heartbeat.

    Args:
        settings: the worker's.
        purpose: what it is for, in a word.
        alive: called before and after each wait for the database.

    Raises:
        psycopg.OperationalError: the database is out of reach.
    """
    connection = Connection.connect(settings.dsn, **_options(settings, purpose))
    connection.alive = alive
    if not settings.pooler:
        brief = settings.lease.total_seconds() * 1000 / 20
        wait = max(1, min(_LONGEST_HEARTBEAT_LOCK_WAIT_MS, int(brief)))
        connection.execute(*_session_settings(settings, wait))
    return connection


class Connection(psycopg.Connection[Any]):
    """A connection that tells when it is about to wait for the server, and when it has."""

    alive: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """Waits as psycopg does."""
        self.alive()
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            self.alive()


async def with_pooler_known(settings: Settings) -> Settings:
    """Returns the settings, having found out whether a transaction pooler stands in between.

    Raises:
        psycopg.OperationalError: the database is out of reach.
    """
    if settings.pooler is not None:
        return settings
    pooler = await find_pooler_async(settings.dsn, **_link(settings, "start"))
    return replace(settings, pooler=pooler is Pooler.TRANSACTION)


def _options(settings: Settings, purpose: str) -> dict[str, Any]:
    """Returns the arguments of `connect` for one of the worker's connections."""
    unprepared = {"prepare_threshold": None} if settings.pooler else {}
    return {"autocommit": True, **unprepared, **_link(settings, purpose)}


def _link(settings: Settings, purpose: str) -> dict[str, Any]:
    """Returns those of them that libpq knows; what the connection string says stands."""
    ours = {**_NETWORK, "application_name": f"rowqueue {purpose} {settings.name}"[:63]}
    given = conninfo_to_dict(settings.dsn)
    return {name: value for name, value in ours.items() if name not in given}


def _session_settings(
    settings: Settings, lock_wait_ms: int
) -> tuple[LiteralString, Sequence[list[str]]]:
    """Returns the statement that makes a new session fit for a worker, and its parameters.

    (Behind a transaction pooler these would leak to other clients, so there it is not sent.)
    """
    given = conninfo_to_dict(settings.dsn)
    values = {"lock_timeout": lock_wait_ms} | {
        theirs: _NETWORK[ours] for ours, theirs in _NETWORK_OF_SERVER.items() if ours not in given
    }
    return (
        "select set_config(s.name, s.value, false)"
        " from unnest(%s::text[], %s::text[]) as s(name, value)",
        [list(values), [str(value) for value in values.values()]],
    )


class _LineConnection(psycopg.AsyncConnection[Any]):
    """A connection that the watchdog sees waiting for the server."""

    line: Line | None = None

    async def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """Waits as psycopg does."""
        if self.line is None:
            return await super().wait(gen, *args, **kwargs)
        self.line.waits()
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            self.line.has_waited()


class Line:
    """One of the worker's connections on the event loop; opened when it is asked for."""

    def __init__(self, settings: Settings, purpose: str, watchdog: Watchdog) -> None:
        self._settings = settings
        self._watchdog = watchdog
        self._other_end = f"the database on the {purpose} connection"
        self.purpose = purpose
        self._connection: _LineConnection | None = None

    def waits(self) -> None:
        """Notes that an answer is due, or, while it listens, the end of the polling interval."""
        self._watchdog.sign(self._other_end, more=self._settings.poll_interval.total_seconds())

    def has_waited(self) -> None:
        """Notes that it came."""
        self._watchdog.rest(self._other_end)

    async def connection(self) -> AsyncConnection:
        """Returns the open connection, or a new one after a loss.

        Raises:
            psycopg.OperationalError: the database is out of reach.
        """
        if self._connection is None or self._connection.closed:
            self._connection = None
            connection = await _LineConnection.connect(
                self._settings.dsn, **_options(self._settings, self.purpose)
            )
            connection.line = self
            try:
                if not self._settings.pooler:
                    await connection.execute(
                        *_session_settings(self._settings, _LONGEST_LOCK_WAIT_MS)
                    )
                    await self._greet(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _greet(self, connection: AsyncConnection) -> None:
        """Does what a new connection needs."""

    async def close(self) -> None:
        """Closes it; the next `connection` is a new one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()


class ListeningLine(Line):
    """A connection that claims, and that hears when jobs are enqueued."""

    async def connection(self) -> AsyncConnection:
        """Does the same, and shows that there are still attempts to claim."""
        self.show_claims()
        return await super().connection()

    def waits(self) -> None:
        """Does the same; and until the answer comes, no other claim can be made."""
        super().waits()
        self._watchdog.rest(CLAIMS)

    def has_waited(self) -> None:
        """Does the same; and now the next claim can be made."""
        super().has_waited()
        self.show_claims()

    def show_claims(self) -> None:
        """Notes that the next attempt to claim is due at the end of the polling interval."""
        self._watchdog.sign(CLAIMS, more=self._settings.poll_interval.total_seconds())

    async def _greet(self, connection: AsyncConnection) -> None:
        await connection.execute("listen rowqueue")
