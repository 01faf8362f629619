"""Handlers that run in processes: of the worker's children, and of ``rowqueue worker``."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from typing import Any

import psycopg

from rowqueue.worker import Job, Worker

worker = Worker(
    lease=timedelta(seconds=1),
    poll_interval=timedelta(milliseconds=100),
    shutdown_grace=timedelta(seconds=10),
)
impatient = Worker(
    poll_interval=timedelta(milliseconds=100),
    shutdown_grace=timedelta(0),
)
one_abandoned = Worker(poll_interval=timedelta(milliseconds=100), max_abandoned_threads=0)
not_a_worker = 42


def pid(job: Job) -> dict[str, int]:
    """Says where it runs."""
    return {"pid": os.getpid()}


async def pid_async(job: Job) -> dict[str, int]:
    """Does the same as a coroutine."""
    await asyncio.sleep(0)
    return {"pid": os.getpid()}


def echo(job: Job) -> Any:
    """Returns its payload."""
    return job.payload


def poison(job: Job) -> None:
    """Kills its process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(job: Job) -> None:
    """Never ends by itself, and heeds nothing."""
    while True:
        time.sleep(0.01)


def wait_for_cancellation(job: Job) -> None:
    """Reports progress until it is told to stop, and then does."""
    done = 0
    while job.report_progress(done):
        done += 1
        time.sleep(0.001)
    raise RuntimeError("stopped as asked")


def until_free(job: Job) -> str:
    """Waits until nobody holds the advisory lock of the payload's key."""
    job.report_progress(0, 1, "at work")
    with psycopg.connect(os.environ["ROWQUEUE_DSN"], autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [job.payload["lock"]])
    return "done"


def report_and_fail(job: Job) -> None:
    """Gets as far as three."""
    for n in range(1, 4):
        job.report_progress(n, 4, ("one", "two", "three")[n - 1])
    raise ValueError("at three")


def tell_and_sleep(job: Job) -> None:
    """Reports its process and never ends."""
    job.report_progress(0, message=str(os.getpid()))
    sleep(job)


def effect(job: Job) -> None:
    """Has an effect in the transaction that completes the job."""
    with psycopg.connect(os.environ["ROWQUEUE_DSN"]) as connection:
        connection.execute("insert into public.effects values (%s)", [job.id])
        job.complete_in(connection)


def effect_then_death(job: Job) -> None:
    """Kills its process right after the commit."""
    effect(job)
    poison(job)


def counted_poison(job: Job) -> None:
    """Notes that it ran, and kills its process."""
    with psycopg.connect(os.environ["ROWQUEUE_DSN"]) as connection:
        connection.execute("insert into public.runs values (%s)", [job.id])
    poison(job)


for each in (worker, impatient, one_abandoned):
    for function in (counted_poison, echo, effect_then_death, pid, sleep, until_free):
        each.handler(function.__name__)(function)
