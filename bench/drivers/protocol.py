"""A driver's side of the protocol, for drivers in Python. Needs nothing but the standard library.

A driver says what it can do with three coroutines and hands them to `main`:

    setup(dsn)                     puts the schema into an empty database
    sender(dsn)                    an async context manager whose value is ``await send(payloads)``;
                                   one call is one transaction
    work(task, record)             handles jobs until `task.stopped` is set, and returns once all
                                   completions are written; each handler awaits `handle` or calls
                                   `record(payload)` first
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Payload = dict[str, Any]
Send = Callable[[list[Payload]], Awaitable[None]]
Sender = Callable[[str], AbstractAsyncContextManager[Send]]

_REPORT_EVERY = 0.05
_PRODUCE_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do.

    Attributes:
        dsn: the database.
        concurrency: handlers at once.
        seconds: how long a handler sleeps, with `asyncio.sleep`; 0: it does nothing.
        options: the system's settings.
        begin: to be awaited once connected: tells the harness and returns at its ``go``.
        stopped: set by SIGTERM.
    """

    dsn: str
    concurrency: int
    seconds: float
    options: dict[str, Any]
    begin: Callable[[], Awaitable[None]]
    stopped: asyncio.Event


class Record:
    """Which jobs were handled, and when each handler began."""

    def __init__(self) -> None:
        """Begins to report the count, whenever it has changed."""
        self._numbers = array("q")
        self._starts = array("d")
        self._noting = threading.Lock()
        self._ended = threading.Event()
        self._reporter = threading.Thread(target=self._report, daemon=True)
        self._reporter.start()

    def __call__(self, payload: Payload) -> None:
        """Notes that the handler of this job begins."""
        with self._noting:
            self._starts.append(time.time())
            self._numbers.append(payload["n"])

    def write(self, file: Path) -> None:
        """Reports for the last time and leaves all behind."""
        self._ended.set()
        self._reporter.join()
        if sys.byteorder == "big":
            self._numbers.byteswap()
            self._starts.byteswap()
        count = len(self._numbers).to_bytes(8, "little", signed=True)
        file.write_bytes(count + self._numbers.tobytes() + self._starts.tobytes())

    def _report(self) -> None:
        said = 0
        while True:
            ended = self._ended.wait(_REPORT_EVERY)
            if (count := len(self._numbers)) != said:
                say(handled=count)
                said = count
            if ended:
                return


Work = Callable[[Task, Record], Awaitable[None]]


def say(**values: Any) -> None:
    """Tells the harness something: a line of JSON on stdout."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main(
    *,
    setup: Callable[[str], Coroutine[Any, Any, None]],
    sender: Sender | None = None,
    work: Work | None = None,
) -> None:
    """Does what the command line asks for."""
    options = _parser().parse_args()
    match options.verb:
        case "setup":
            asyncio.run(setup(options.dsn))
        case "enqueue" if sender:
            asyncio.run(_enqueue(sender, options))
        case "produce" if sender:
            asyncio.run(_produce(sender, options))
        case "work" if work:
            asyncio.run(_work(work, options))
        case verb:
            sys.exit(f"this driver cannot {verb}")


async def _enqueue(sender: Sender, options: argparse.Namespace) -> None:
    """Enqueues so many jobs at each ``go``, until the harness closes stdin."""
    pad = "x" * options.pad
    begin = options.first
    async with sender(options.dsn) as send:
        await _ready()
        while True:
            start, began, end = time.time(), time.perf_counter(), begin + options.jobs
            for first in range(begin, end, options.batch):
                now = time.time()
                last = min(first + options.batch, end)
                await send([{"n": n, "at": now, "pad": pad} for n in range(first, last)])
            say(done=options.jobs, seconds=time.perf_counter() - began, start=start)
            begin = end
            if not await _go():
                return


async def _produce(sender: Sender, options: argparse.Namespace) -> None:
    """An open loop: what is due is sent, several jobs together, however long that takes."""
    pad = "x" * options.pad
    total = int(options.rate * options.seconds)
    async with sender(options.dsn) as send:
        await _ready()
        start, began, sent = time.time(), time.perf_counter(), 0
        while sent < total:
            elapsed = time.perf_counter() - began
            due = min(int(elapsed * options.rate) + 1, total, sent + _PRODUCE_AT_ONCE)
            if due <= sent:
                await asyncio.sleep(sent / options.rate - elapsed)
                continue
            await send(
                [
                    {"n": options.first + i, "at": start + i / options.rate, "pad": pad}
                    for i in range(sent, due)
                ]
            )
            sent = due
        took = time.perf_counter() - began
    say(done=total, seconds=took, start=start)


async def _work(work: Work, options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    record = Record()

    async def begin() -> None:
        await _ready()
        threading.Thread(target=_end_with_harness, daemon=True).start()

    await work(
        Task(
            options.dsn,
            options.concurrency,
            options.work_ms / 1000,
            options.options,
            begin,
            stopped,
        ),
        record,
    )
    record.write(options.out)


async def _ready() -> None:
    """Says so and waits for ``go``."""
    say(ready=True)
    if not await _go():
        raise SystemExit("the harness went away")


async def _go() -> bool:
    """Waits for the harness's ``go``; false when it has closed stdin."""
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line == "go\n"


def _end_with_harness() -> None:
    """Waits for the harness's end of stdin to be closed: it was killed before it could end us."""
    if not os.read(sys.stdin.fileno(), 1):
        os._exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name)
        added.add_argument("--dsn", required=True)
        return added

    verb("setup")
    enqueue, produce, worker = verb("enqueue"), verb("produce"), verb("work")
    for producer in (enqueue, produce):
        producer.add_argument("--first", type=int, default=0)
        producer.add_argument("--pad", type=int, default=50)
    enqueue.add_argument("--jobs", type=int, required=True)
    enqueue.add_argument("--batch", type=int, default=1000)
    produce.add_argument("--rate", type=float, required=True)
    produce.add_argument("--seconds", type=float, required=True)
    worker.add_argument("--concurrency", type=int, required=True)
    worker.add_argument("--out", type=Path, required=True)
    worker.add_argument("--work-ms", type=float, default=0.0)
    worker.add_argument("--options", type=json.loads, default={})
    return parser


async def handle(task: Task, record: Record, payload: Payload) -> None:
    """What every handler does: notes the job and sleeps as long as the task says."""
    record(payload)
    if task.seconds:
        await asyncio.sleep(task.seconds)
