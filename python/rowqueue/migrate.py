"""Brings a database to the newest schema, with yoyo-migrations.

yoyo's tables stand in the schema ``rowqueue`` beside ours, so they never meet those of an
application that uses yoyo too. Any number of processes may migrate at once, and any of them
may be killed: a migration is one transaction unless it says ``-- transactional: false``, and
what is there already is not run again, however it came there: `rowqueue.version` tells.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, MigrationList, StepCollector
from yoyo.migrations import parse_metadata_from_sql_comments as parse_metadata

from rowqueue.schema import migrations_folder

logger = getLogger("rowqueue")

_RUN = 0x726F777175657565  # "rowqueue" in ASCII: held by the run that migrates
_WORK = _RUN + 1  # shared by the sessions of yoyo: outlives a killed run until they end
_STEP = re.compile(r"^-- step\b.*$", re.MULTILINE)


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's backend for psycopg 3, with table names that tell whose they are."""

    lock_table = "_yoyo_lock"
    log_table = "_yoyo_log"
    version_table = "_yoyo_version"

    def connect(self, dburi: Any) -> psycopg.Connection[Any]:
        """Opens a session and marks it as at work for as long as it lives."""
        session: psycopg.Connection[Any] = super().connect(dburi)
        session.execute("select pg_advisory_lock_shared(%s)", [_WORK])
        return session


_MIGRATION_TABLE = "_yoyo_migration"
YOYO_TABLES = (
    _MIGRATION_TABLE,
    _Backend.lock_table,
    _Backend.log_table,
    _Backend.version_table,
)


class _FrozenFile(Migration):  # type: ignore[misc]
    """A migration that sends its file as it stands.

    yoyo would split it with sqlparse, which guesses where a statement ends (it breaks a nested
    comment in two) and prints the rows of every ``select``. PostgreSQL splits it right. Only a
    migration that runs without a transaction must be sent in parts; lines ``-- step`` part it.
    """

    def __init__(self, file: Path, known: dict[str, _FrozenFile]) -> None:
        super().__init__(file.stem, str(file), str(file.parent))
        self.number = file.stem.partition(".")[0]
        self.source = file.read_text(encoding="utf-8")
        directives, _, _ = parse_metadata(self.source)
        self.use_transactions = directives.get("transactional", "true").strip() == "true"
        try:
            self._depends = {known[name] for name in directives.get("depends", "").split()}
        except KeyError as missing:
            raise ValueError(f"{file.name} depends on {missing}, which is not there") from None
        collector = StepCollector(migration=self)
        for part in _STEP.split(self.source):
            collector.add_step(lambda connection, part=part: connection.execute(part))
        self.steps = collector.create_steps(self.use_transactions)


def migrate(dsn: str = "") -> list[str]:
    """Applies what is missing, one process at a time.

    Args:
        dsn: the database; libpq's own variables say what it leaves out. Not through a pooler
            in transaction mode: the lock lives in a session.

    Returns:
        The names of the migrations applied, in order; empty when there was nothing to do.

    Raises:
        psycopg.Error: the database refused. What was applied before stays.
    """
    applied = []
    with psycopg.connect(dsn, autocommit=True) as session:
        _take_lock(session)
        if not pending(dsn):
            return []
        _make_schema(session)
        with _backend(dsn, session.info.dbname) as backend:
            # Nobody else holds our lock, so a row in yoyo's is what a killed run left there.
            backend.break_lock()
            with backend.lock():
                there = [one for one in _migrations() if one.number <= _installed(session)]
                for migration in backend.to_apply(MigrationList(there)):
                    backend.mark_one(migration)
                for migration in backend.to_apply(_migrations()):
                    backend.apply_one(migration)
                    applied.append(migration.id)
                    logger.info("%s applied", migration.id)
        _describe_tables(session)
    return applied


def pending(dsn: str = "") -> list[str]:
    """Returns the names of the migrations that the database lacks. Changes nothing."""
    with psycopg.connect(dsn, autocommit=True) as session:
        table = sql.Identifier("rowqueue", _MIGRATION_TABLE)
        name = table.as_string(session)
        (exists,) = session.execute("select to_regclass(%s) is not null", [name]).fetchone() or [0]
        done: set[str] = set()
        if exists:
            query = sql.SQL("select migration_id from {}").format(table)
            done = {row[0] for row in session.execute(query)}
        installed = _installed(session)
    return [one.id for one in _migrations() if one.id not in done and one.number > installed]


def _installed(session: psycopg.Connection[Any]) -> str:
    """Returns the version of the schema that is there, ``""`` when there is none.

    psql may have installed it, or a run was killed between a migration and its mark.
    """
    found = "select to_regprocedure('rowqueue.version()') is not null"
    (exists,) = session.execute(found).fetchone() or [False]
    (version,) = (exists and session.execute("select rowqueue.version()").fetchone()) or [""]
    return str(version)


def _migrations() -> MigrationList:
    known: dict[str, _FrozenFile] = {}
    for file in sorted(migrations_folder().glob("*.sql")):
        known[file.stem] = _FrozenFile(file, known)
    return MigrationList(known.values())


def _take_lock(session: psycopg.Connection[Any]) -> None:
    """Takes the lock of all migrations, which ends with the session, however that ends.

    A server may still be at work on what a killed run sent; that is waited for too.
    """
    _wait_for(session, _RUN)
    _wait_for(session, _WORK)
    session.execute("select pg_advisory_unlock(%s)", [_WORK])


def _wait_for(session: psycopg.Connection[Any], lock: int) -> None:
    """Asks for a lock again and again.

    One who waits inside ``pg_advisory_lock`` holds a snapshot, and a ``create index
    concurrently`` of the lock's holder would wait for that for ever.
    """
    waiting = False
    while True:
        row = session.execute("select pg_try_advisory_lock(%s)", [lock]).fetchone()
        if row and row[0]:
            return
        if not waiting:
            waiting = True
            logger.info("another process is migrating this database, waiting for it")
        time.sleep(0.1)


def _make_schema(session: psycopg.Connection[Any]) -> None:
    """Makes the schema. One that is there is left alone: the user may lack the right to make it."""
    if not session.execute("select 1 from pg_namespace where nspname = 'rowqueue'").fetchone():
        session.execute("create schema rowqueue")


def _describe_tables(session: psycopg.Connection[Any]) -> None:
    for table in YOYO_TABLES:
        text = f"Kept by yoyo-migrations for rowqueue migrate ({table.removeprefix('_yoyo_')})."
        session.execute(
            sql.SQL("comment on table {} is {}").format(sql.Identifier("rowqueue", table), text)
        )


@contextmanager
def _backend(dsn: str, dbname: str) -> Iterator[_Backend]:
    """Opens yoyo's own connection. All that the DSN says goes into the query of yoyo's URL."""
    options = {key: value for key, value in conninfo_to_dict(dsn).items() if value is not None}
    query = urlencode({**options, "dbname": dbname, "schema": "rowqueue"})
    with _Backend(parse_uri(f"postgresql+psycopg:///?{query}"), _MIGRATION_TABLE) as backend:
        backend.init_database()
        yield backend
