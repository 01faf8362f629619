"""Workers for tests: on a thread of the test's process, or as a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from rowqueue.worker import Worker
from support.calls import job
from support.waiting import eventually

Session = psycopg.Connection[Any]

TESTS = Path(__file__).resolve().parents[1]


def quick_worker(dsn: str, **settings: Any) -> Worker:
    """Makes a worker that neither polls nor waits long."""
    return Worker(
        dsn,
        **{
            "poll_interval": timedelta(milliseconds=100),
            "shutdown_grace": timedelta(seconds=5),
            "cancel_grace": timedelta(0),
            **settings,
        },
    )


@contextmanager
def working(worker: Worker) -> Iterator[Worker]:
    """Runs a worker on a thread until the block ends, and raises what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        yield worker
    finally:
        eventually(lambda: worker.running or not thread.is_alive(), what="the worker to run")
        worker.stop()
        thread.join(timeout=30)
        assert not thread.is_alive(), "the worker does not stop"
        if errors:
            raise errors[0]


@contextmanager
def worker_process(dsn: str, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``rowqueue worker support.worker_app:NAME``, and kills it when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rowqueue", "worker", f"support.worker_app:{name}", *options],
        env=environment(dsn),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def environment(dsn: str) -> dict[str, str]:
    """Returns the environment of a process that is to find this package, these tests, this dsn."""
    path = os.pathsep.join([str(TESTS), *sys.path])
    return {**os.environ, "PYTHONPATH": path, "ROWQUEUE_DSN": dsn}


def until(db: Session, job_id: UUID, status: str) -> Any:
    """Returns the row of a job once it is in a status."""

    def look() -> Any:
        row = job(db, job_id)
        return row if row.status == status else None

    return eventually(look, what=f"job {job_id} to be {status}")
