"""Workers that run as processes, and handlers that bring trouble upon them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg

from rowqueue.worker import Job, Worker
from rowqueue.worker.claim import Claimer
from rowqueue.worker.finish import Finisher
from rowqueue.worker.heartbeat import Heartbeat
from rowqueue.worker.run import Runner
from support import worker_app
from support.worker_app import echo, effect, effect_then_death, poison, until_free

QUEUES = os.environ.get("RECOVERY_QUEUES", "default").split(",")
GRACE = 1.0
LIMIT = 1.5
"""Seconds without headway that the watchdog of `watched` allows."""


def make(**settings: Any) -> Worker:
    """Makes a worker that neither holds a lease nor polls for long."""
    return Worker(
        **{
            "queues": QUEUES,
            "lease": timedelta(seconds=1),
            "poll_interval": timedelta(milliseconds=200),
            "shutdown_grace": timedelta(seconds=GRACE),
            **settings,
        }
    )


worker = make()
watched = make(watchdog=timedelta(seconds=LIMIT), concurrency=2)
patient = make(lease=timedelta(seconds=20), shutdown_grace=timedelta(seconds=30))
by_default = Worker()


def die() -> None:
    """Ends this process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that does the same, and then kills its process."""

    def wrapped(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return wrapped


async def hang(*_: object) -> int:
    """Waits for what never comes."""
    await asyncio.Event().wait()
    return 0


def deadlock(*_: object) -> None:
    """Does the same on a thread."""
    threading.Event().wait()


def effect_before_death(job: Job) -> None:
    """Kills its process when everything but the commit is done."""
    with psycopg.connect(os.environ["ROWQUEUE_DSN"]) as connection:
        connection.execute("insert into public.effects values (%s)", [job.id])
        job.complete_in(connection)
        die()


def effect_when_free(job: Job) -> None:
    """Has its effect, in the transaction that completes the job, once it may go on."""
    until_free(job)
    effect(job)


def hold_gil(job: Job) -> str:
    """Keeps every other thread of the process from running, as some C code does."""
    job.report_progress(0, 1, "at work")
    ctypes.PyDLL(None).usleep(int(job.payload["seconds"] * 1e6))
    return "first"


async def block(job: Job) -> None:
    """Forgets to await."""
    job.report_progress(0, 1, "at work")
    time.sleep(600)  # noqa: ASYNC251 - that is the mistake


def sleep(job: Job) -> None:
    """Never ends by itself, and heeds nothing."""
    job.report_progress(0, 1, "at work")
    worker_app.sleep(job)


async def coroutine(job: Job) -> None:
    """Never ends by itself, but clears up when it is cancelled."""
    job.report_progress(0, 1, "at work")
    await asyncio.Event().wait()


async def stubborn(job: Job) -> None:
    """Never ends, whatever anybody does. Its progress tells that it has begun."""
    job.report_progress(1)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


def fill(job: Job) -> None:
    """Takes memory until something stops it."""
    hoard = []
    while True:
        hoard.append(bytearray(b"x" * (8 << 20)))


def fill_to_limit(job: Job) -> None:
    """The same, with a limit that the process sets itself."""
    limit = 1 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    fill(job)


TROUBLES: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "claimed": (Runner, "accept", lambda *_: die()),
    "done": (Finisher, "add", lambda *_: die()),
    "in heartbeat": (Heartbeat, "_extend_leases", after(Heartbeat._extend_leases)),
    "claims hang": (Claimer, "_room", hang),
    "heartbeat hangs": (Heartbeat, "_tick_if_due", deadlock),
}
"""Places where a process is killed, or hangs: ``RECOVERY_TROUBLE`` says which."""

if trouble := TROUBLES.get(os.environ.get("RECOVERY_TROUBLE", "")):
    setattr(*trouble)

for each in (worker, watched, patient, by_default):
    for function in (
        block,
        coroutine,
        echo,
        effect,
        effect_before_death,
        effect_then_death,
        effect_when_free,
        fill,
        hold_gil,
        poison,
        sleep,
        stubborn,
        until_free,
    ):
        each.handler(function.__name__)(function)
    for function in (fill, fill_to_limit, sleep):
        each.handler(f"{function.__name__}_in_child", process=True)(function)
