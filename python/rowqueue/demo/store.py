"""The demo's own tables: its workspaces, their syncs and the records that those found.

They are what an application has anyway. None of them knows of the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from rowqueue.demo.connectors import Page, Record
from rowqueue.text import clean

Connection = psycopg.Connection[Any]
T = TypeVar("T")

# What a record is refused for: text that is none, a number or a key out of range.
_UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)

_CREATE = """
    create schema rowqueue_demo;

    create table rowqueue_demo.workspaces (
        id uuid primary key,
        name text not null,
        source text not null,
        part int not null,
        parts int not null
    );

    create table rowqueue_demo.sync_log (
        id uuid primary key,
        workspace_id uuid not null references rowqueue_demo.workspaces,
        pages_done int not null default 0
    );

    create table rowqueue_demo.sync_errors (
        sync_id uuid not null references rowqueue_demo.sync_log,
        page int not null,
        number int not null,
        message text not null,
        primary key (sync_id, page, number)
    );

    create table rowqueue_demo.records (
        workspace_id uuid not null references rowqueue_demo.workspaces,
        key text not null,
        data jsonb not null,
        sync_id uuid not null references rowqueue_demo.sync_log,
        synced_at timestamptz not null default now(),
        primary key (workspace_id, key)
    );
"""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace, and which share of which source is its own."""

    id: UUID
    name: str
    source: str
    part: int
    parts: int


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync of a workspace, over however many attempts.

    Attributes:
        pages_done: how many pages are stored, by this attempt or earlier ones.
    """

    id: UUID
    workspace_id: UUID
    pages_done: int


def create(db: Connection) -> None:
    """Makes the tables, in place of those that an earlier demo left."""
    drop(db)
    db.execute(_CREATE)


def drop(db: Connection) -> None:
    """Removes the demo's schema and all that is in it."""
    db.execute("drop schema if exists rowqueue_demo cascade")


def add_workspace(db: Connection, workspace: Workspace) -> None:
    """Stores a workspace."""
    db.execute(
        "insert into rowqueue_demo.workspaces (id, name, source, part, parts)"
        " values (%s, %s, %s, %s, %s)",
        [workspace.id, workspace.name, workspace.source, workspace.part, workspace.parts],
    )


def add_sync(db: Connection, sync: Sync) -> None:
    """Stores a sync that is about to begin."""
    db.execute(
        "insert into rowqueue_demo.sync_log (id, workspace_id) values (%s, %s)",
        [sync.id, sync.workspace_id],
    )


def get_workspace(db: Connection, id: UUID) -> Workspace:
    """Returns a workspace.

    Raises:
        LookupError: there is none.
    """
    with db.cursor(row_factory=class_row(Workspace)) as cursor:
        found = cursor.execute("select * from rowqueue_demo.workspaces where id = %s", [id])
        return _one(found.fetchone(), f"workspace {id}")


def get_sync(db: Connection, id: UUID) -> Sync:
    """Returns a sync.

    Raises:
        LookupError: there is none.
    """
    with db.cursor(row_factory=class_row(Sync)) as cursor:
        found = cursor.execute("select * from rowqueue_demo.sync_log where id = %s", [id])
        return _one(found.fetchone(), f"sync {id}")


def save_page(db: Connection, sync: Sync, page: Page) -> None:
    """Stores a page and that it is done, both or neither. Storing it again changes nothing."""
    with db.transaction():
        errors = page.errors + _upsert(db, sync, page.records)
        db.cursor().executemany(
            "insert into rowqueue_demo.sync_errors (sync_id, page, number, message)"
            " values (%s, %s, %s, %s) on conflict do nothing",
            [(sync.id, page.number, n, clean(message)) for n, message in enumerate(errors, 1)],
        )
        db.execute(
            "update rowqueue_demo.sync_log set pages_done = greatest(pages_done, %s) where id = %s",
            [page.number, sync.id],
        )


def forget_unseen(db: Connection, sync: Sync) -> None:
    """Removes the workspace's records that a sync did not see: the source has them no more."""
    db.execute(
        "delete from rowqueue_demo.records where workspace_id = %s and sync_id <> %s",
        [sync.workspace_id, sync.id],
    )


def count_synced(db: Connection, sync: Sync) -> int:
    """Returns how many records a sync has stored, over all its attempts."""
    query = "select count(*) from rowqueue_demo.records where workspace_id = %s and sync_id = %s"
    return sum(count for (count,) in db.execute(query, [sync.workspace_id, sync.id]))


def count_records(db: Connection, workspace_id: UUID) -> int:
    """Returns how many records a workspace has."""
    query = "select count(*) from rowqueue_demo.records where workspace_id = %s"
    return sum(count for (count,) in db.execute(query, [workspace_id]))


def list_columns(db: Connection, workspace_id: UUID) -> list[str]:
    """Returns the names of all fields that a workspace's records have."""
    query = """
        select distinct jsonb_object_keys(data) as name
        from rowqueue_demo.records
        where workspace_id = %s
        order by name
    """
    return [name for (name,) in db.execute(query, [workspace_id])]


def list_errors(db: Connection, sync: Sync) -> list[str]:
    """Returns what a sync could not read, over all its attempts, in the source's order."""
    found = db.execute(
        "select message from rowqueue_demo.sync_errors where sync_id = %s order by page, number",
        [sync.id],
    )
    return [message for (message,) in found]


def stream_records(db: Connection, workspace_id: UUID) -> Iterator[Record]:
    """Yields a workspace's records by key, a few hundred at a time, within a transaction."""
    with db.transaction(), db.cursor("records", row_factory=class_row(Record)) as cursor:
        cursor.itersize = 500
        yield from cursor.execute(
            "select key, data from rowqueue_demo.records where workspace_id = %s order by key",
            [workspace_id],
        )


def _upsert(db: Connection, sync: Sync, records: list[Record]) -> list[str]:
    """Stores what can be stored, and returns what was wrong with the rest."""
    try:
        with db.transaction():
            _upsert_all(db, sync, records)
    except _UNSTORABLE as error:
        if len(records) == 1:
            return [f"{records[0].key[:100]}: {str(error).splitlines()[0]}"]
        return [message for record in records for message in _upsert(db, sync, [record])]
    return []


def _upsert_all(db: Connection, sync: Sync, records: list[Record]) -> None:
    db.cursor().executemany(
        "insert into rowqueue_demo.records (workspace_id, key, data, sync_id)"
        " values (%s, %s, %s, %s) on conflict (workspace_id, key) do update"
        " set data = excluded.data, sync_id = excluded.sync_id, synced_at = excluded.synced_at",
        [(sync.workspace_id, r.key, Jsonb(r.data), sync.id) for r in records],
    )


def _one(row: T | None, what: str) -> T:
    if row is None:
        raise LookupError(f"{what} is not there")
    return row
