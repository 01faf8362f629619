"""rowqueue's driver: its own client enqueues, its own worker works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.drivers.connect import connect, install_rowqueue
from bench.drivers.protocol import Payload, Record, Send, Task, handle, main
from rowqueue import AsyncQueue, Job, Worker


async def setup(dsn: str) -> None:
    """Installs the schema."""
    await install_rowqueue(dsn)


@asynccontextmanager
async def sender(dsn: str) -> AsyncIterator[Send]:
    """Opens a sender: `enqueue` for a single job, `enqueue_many` for more."""
    async with await connect(dsn) as session:
        queue = AsyncQueue(session)

        async def send(payloads: list[Payload]) -> None:
            if len(payloads) == 1:
                await queue.enqueue("noop", payload=payloads[0])
            else:
                await queue.enqueue_many(
                    [{"job_type": "noop", "payload": payload} for payload in payloads]
                )

        yield send


async def work(task: Task, record: Record) -> None:
    """Runs one worker. The option ``plain`` makes its handler a plain function."""
    options = dict(task.options)
    plain = options.pop("plain", False)
    worker = Worker(task.dsn, concurrency=task.concurrency, **options)

    async def noop(job: Job) -> None:
        await handle(task, record, job.payload)

    def plain_noop(job: Job) -> None:
        record(job.payload)
        if task.seconds:
            time.sleep(task.seconds)

    worker.handler("noop")(plain_noop if plain else noop)
    await task.begin()
    working = asyncio.create_task(worker.run_async())
    stopping = asyncio.create_task(task.stopped.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    await working


if __name__ == "__main__":
    main(setup=setup, sender=sender, work=work)
