"""Procrastinate's driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from bench.drivers.protocol import Payload, Record, Send, Task, handle, main


async def setup(dsn: str) -> None:
    """Applies its schema."""
    app = App(connector=PsycopgConnector())
    async with _opened(app, dsn, 1):
        await app.schema_manager.apply_schema_async()


@asynccontextmanager
async def sender(dsn: str) -> AsyncIterator[Send]:
    """Opens a sender: `defer_async` for a single job, `batch_defer_async` for more."""
    app = App(connector=PsycopgConnector())
    async with _opened(app, dsn, 1):
        deferrer = app.configure_task("noop")

        async def send(payloads: list[Payload]) -> None:
            if len(payloads) == 1:
                await deferrer.defer_async(payload=payloads[0])
            else:
                await deferrer.batch_defer_async(*({"payload": payload} for payload in payloads))

        yield send


async def work(task: Task, record: Record) -> None:
    """Runs one worker."""
    app = App(connector=PsycopgConnector())

    async def noop(payload: Payload) -> None:
        await handle(task, record, payload)

    app.task(noop, name="noop")
    async with _opened(app, task.dsn, task.concurrency + 2):
        await task.begin()
        running = asyncio.create_task(
            app.run_worker_async(
                concurrency=task.concurrency, install_signal_handlers=False, **task.options
            )
        )
        stopping = asyncio.create_task(task.stopped.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()


@asynccontextmanager
async def _opened(app: App, dsn: str, connections: int) -> AsyncIterator[None]:
    """Opens an app over a pool of ours, which does not check a connection at each use."""
    pool = AsyncConnectionPool(dsn, min_size=1, max_size=connections, open=False)
    async with pool, app.open_async(pool):
        yield


if __name__ == "__main__":
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    main(setup=setup, sender=sender, work=work)
