"""Opens connections as a worker does, and says when each notices that its other end is gone.

``python -m recovery.probe DSN`` prints ``ready``, and then for each kind of connection its name,
what the error was, and the time on the monotonic clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import psycopg

from rowqueue.worker import Worker
from rowqueue.worker.connect import AsyncConnection, Line, ListeningLine
from rowqueue.worker.watchdog import Watchdog

SENT_AFTER = 2.9
"""Seconds after which something is sent on a dead link: just before the keepalives may give up."""


async def listen(connection: AsyncConnection) -> None:
    """Waits for a notification."""
    async for _ in connection.notifies():
        pass


async def query(connection: AsyncConnection) -> None:
    """Waits for the answer to a statement that has arrived."""
    await connection.execute("select pg_sleep(600)")


async def query_late(connection: AsyncConnection) -> None:
    """Sends a statement that does not arrive."""
    await _told.wait()
    await asyncio.sleep(SENT_AFTER)
    await connection.execute("select 1")


_told = asyncio.Event()


async def main(dsn: str) -> None:
    """Opens one connection of each kind and waits for the end of all."""
    settings = Worker(dsn)._settings
    watchdog = Watchdog("probe", None)
    lines: dict[Callable[[AsyncConnection], Awaitable[None]], Line] = {
        listen: ListeningLine(settings, "claim", watchdog),
        query: Line(settings, "finish", watchdog),
        query_late: Line(settings, "late", watchdog),
    }
    connections = {use: await line.connection() for use, line in lines.items()}

    async def notice(use: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        try:
            await use(connections[use])
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            print(f"{use.__name__}\t{time.monotonic()}\t{reason}", flush=True)  # noqa: T201

    under_way = [asyncio.create_task(notice(use)) for use in connections]
    await asyncio.sleep(0.2)
    print("ready", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)  # the cable is pulled
    _told.set()
    await asyncio.gather(*under_way)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
