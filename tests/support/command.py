"""Running the command line, in this process or as one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import click
import psycopg
from click.testing import CliRunner, Result

from rowqueue import Queue
from rowqueue.cli import main

Db = psycopg.Connection[Any]
Run = Callable[..., Result]

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
NO_DSN: dict[str, str | None] = {
    "ROWQUEUE_DSN": None,
    "DATABASE_URL": None,
    **{name: None for name in os.environ if name.startswith("PG")},
}


def invoke(*args: str, env: dict[str, str] | None = None, **options: Any) -> Result:
    """Runs a command in this process, with no database given but by what is passed."""
    return CliRunner().invoke(main, args, env={**NO_DSN, **(env or {})}, **options)


@contextmanager
def process(*args: str, dsn: str = "", **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Runs a command as a process of its own, and ends it if the test has not."""
    env = {name: value for name, value in os.environ.items() if name not in NO_DSN}
    with subprocess.Popen(
        [sys.executable, "-m", "rowqueue", *args],
        env=env | {"ROWQUEUE_DSN": dsn},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def failed(queue: Queue, error: str = "no") -> UUID:
    """Makes a job that has failed."""
    job_id = queue.enqueue("sync")
    (job,) = queue.claim_next("w")
    queue.fail_with_backoff(job_id, token=job.token, error=error, retry=False)
    return job_id


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields every command, as the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)
