"""Copies of a database: by a template, and by a dump."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from rowqueue.embedded import find_binaries
from support.calls import Session, claim_one, enqueue, rows, value
from support.server import Server, own_version


def worked_in(session: Session) -> Session:
    """Has a job done here, so that the database knows what it is."""
    enqueue(session)
    job = claim_one(session)
    rows(session, "complete", job_id=job.id, token=job.token)
    value(session, "tick")
    assert rows_of_identity(session) == 1
    return session


def rows_of_identity(session: Session) -> int:
    """Returns how many identities are noted."""
    row = session.execute("select count(*) from rowqueue.identity").fetchone()
    assert row is not None
    return int(row[0])


def session_on(dsn: str) -> Session:
    """Opens a session in autocommit, whose rows have named columns."""
    return psycopg.connect(dsn, autocommit=True, row_factory=namedtuple_row)


@contextmanager
def clone(server: Server, original: Session) -> Iterator[Session]:
    """Yields a session on a copy of a database that nobody else is connected to."""
    name = original.info.dbname
    copy = f"{name}_copy"
    original.close()
    server.session.execute(f"create database {copy} template {name}")
    try:
        with session_on(server.url(copy)) as session:
            yield session
    finally:
        server.session.execute(f"drop database {copy} with (force)")


def dump(dsn: str, file: Path, *options: str) -> None:
    """Writes a dump of a database, or of what the options say."""
    _run("pg_dump", dsn, f"--file={file}", *options)


def restore(dsn: str, file: Path) -> None:
    """Runs the script of a dump."""
    _run("psql", dsn, "-Xq", "-v", "ON_ERROR_STOP=1", f"--file={file}")


def _run(program: str, dsn: str, *arguments: str) -> None:
    """Runs a program of the server's version: the script of a newer one may be beyond it."""
    binaries = find_binaries(own_version(), prefer="installed")
    parts = conninfo_to_dict(dsn)
    password = str(parts.pop("password", ""))
    done = subprocess.run(
        [binaries / program, f"--dbname={make_conninfo(**parts)}", *arguments],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
