"""The worker's own connections, and what it does when one is lost."""

from __future__ import annotations

import logging
import random
import time
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rowqueue.worker.settings import Settings

logger = logging.getLogger("rowqueue")

AsyncConnection = psycopg.AsyncConnection[Any]

# Somebody's open transaction on one job must not hold up the reports on all others, and least of
# all the heartbeat. (Behind a transaction pooler a session setting would leak to other clients, so
# there they wait.)
_LOCK_WAIT = "select set_config('lock_timeout', %s, false)"
_LONGEST_LOCK_WAIT_MS = 500
_LONGEST_HEARTBEAT_LOCK_WAIT_MS = 200

_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0
_LOG_EVERY = 1.0

# A link whose other end is gone without a word is noticed within ten seconds, be it idle
# (keepalives) or in the middle of a statement (tcp_user_timeout).
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 9000,
}


class Outages:
    """Paces the reconnecting of all of a worker's connections, and speaks for them.

    Each loss in a row waits longer, with full jitter, so that a hundred workers don't come back
    in step. There is one log line a second at most, however many connections are down.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._losses: dict[str, int] = {}
        self._spoke = -_LOG_EVERY

    def delay(self, purpose: str, error: Exception) -> float:
        """Notes that a connection was lost and returns how many seconds to wait."""
        losses = self._losses[purpose] = self._losses.get(purpose, 0) + 1
        now = time.monotonic()
        if now - self._spoke >= _LOG_EVERY:
            self._spoke = now
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            logger.warning("worker %s: %s connection: %s", self._worker, purpose, reason)
        return random.uniform(0, min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(losses, 10)))

    def over(self, purpose: str) -> None:
        """Notes that a connection has done its work again."""
        if self._losses and self._losses.pop(purpose, 0) and not self._losses:
            logger.info("worker %s: all connections are back", self._worker)


def connect(settings: Settings, purpose: str) -> psycopg.Connection[Any]:
    """Opens a connection that blocks, for the heartbeat.

    Raises:
        psycopg.OperationalError: the database is out of reach.
    """
    connection = psycopg.connect(settings.dsn, **_options(settings, purpose))
    if not settings.pooler:
        brief = settings.lease.total_seconds() * 1000 / 20
        wait = max(1, min(_LONGEST_HEARTBEAT_LOCK_WAIT_MS, int(brief)))
        connection.execute(_LOCK_WAIT, [str(wait)])
    return connection


def _options(settings: Settings, purpose: str) -> dict[str, Any]:
    """Returns the arguments of `connect` for one of the worker's connections."""
    given = conninfo_to_dict(settings.dsn)
    chosen: dict[str, Any] = {name: v for name, v in _NETWORK.items() if name not in given}
    if "application_name" not in given:
        chosen["application_name"] = f"rowqueue {purpose} {settings.name}"[:63]
    if settings.pooler:
        chosen["prepare_threshold"] = None
    return {"autocommit": True, **chosen}


class Line:
    """One of the worker's connections on the event loop; opened when it is asked for."""

    def __init__(self, settings: Settings, purpose: str) -> None:
        self._settings = settings
        self.purpose = purpose
        self._connection: AsyncConnection | None = None

    async def connection(self) -> AsyncConnection:
        """Returns the open connection, or a new one after a loss.

        Raises:
            psycopg.OperationalError: the database is out of reach.
        """
        if self._connection is None or self._connection.closed:
            self._connection = None
            connection = await psycopg.AsyncConnection.connect(
                self._settings.dsn, **_options(self._settings, self.purpose)
            )
            try:
                if not self._settings.pooler:
                    await connection.execute(_LOCK_WAIT, [str(_LONGEST_LOCK_WAIT_MS)])
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
    """A connection that hears when jobs are enqueued."""

    async def _greet(self, connection: AsyncConnection) -> None:
        await connection.execute("listen rowqueue")
