"""What goes wrong in the demo on purpose, once each, so that the recovery can be watched."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from rowqueue.demo.store import Connection, Sync

_KILL_WAIT_MAX = 30.0

_CREATE = """
    create table rowqueue_demo.faults (
        sync_id uuid not null references rowqueue_demo.sync_log,
        page int not null,
        kind text not null,
        pid int,
        primary key (sync_id, page, kind)
    )
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in wait on a page of a sync; sprung once it has a ``pid``, the worker's.

    Attributes:
        kind: ``hang_up``: the page can't be had; ``kill``: whoever started the worker kills it.
    """

    sync_id: UUID
    page: int
    kind: Literal["hang_up", "kill"]
    pid: int | None = None


def create(db: Connection) -> None:
    """Makes the table of faults."""
    db.execute(_CREATE)


def add(db: Connection, fault: Fault) -> None:
    """Lays a fault in wait."""
    db.execute(
        "insert into rowqueue_demo.faults (sync_id, page, kind) values (%s, %s, %s)",
        [fault.sync_id, fault.page, fault.kind],
    )


def sprung(db: Connection) -> list[Fault]:
    """Returns the faults that have happened."""
    with db.cursor(row_factory=class_row(Fault)) as cursor:
        return cursor.execute("select * from rowqueue_demo.faults where pid is not null").fetchall()


def spring(db: Connection, sync: Sync, page: int) -> None:
    """Lets happen what waits on this page, if anything does; the next attempt gets past it.

    Raises:
        ConnectionResetError: the page can't be had, this time.
    """
    happens = db.execute(
        "update rowqueue_demo.faults set pid = %s"
        " where (sync_id, page, kind) = ("
        "   select sync_id, page, kind from rowqueue_demo.faults"
        "   where sync_id = %s and page = %s and pid is null order by kind limit 1"
        " ) returning kind",
        [os.getpid(), sync.id, page],
    ).fetchone()
    match happens:
        case ("hang_up",):
            raise ConnectionResetError(f"the source hung up on page {page}")
        case ("kill",):
            # The demo sees the pid and sends SIGKILL: this process does not live to wake up.
            time.sleep(_KILL_WAIT_MAX)
            raise TimeoutError(f"nobody killed this worker on page {page}")
