"""Waiting for a condition, instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

T = TypeVar("T")


def eventually(look: Callable[[], T | None], *, within: float = 20.0, what: str = "") -> T:
    """Looks again and again until there is something true to see, and returns that.

    The limit is there to end a hopeless test, not to measure anything.
    """
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {within} s in vain for {what or look}"
        time.sleep(0.01)
    return seen


def is_blocked(observer: psycopg.Connection, pid: int) -> bool:
    """Whether a session waits for a lock that another one holds."""
    row = observer.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()
    return row is not None and bool(row[0])


def until_blocked(observer: psycopg.Connection, pid: int) -> None:
    """Returns once a session waits for a lock."""
    eventually(lambda: is_blocked(observer, pid), what=f"session {pid} to wait for a lock")
