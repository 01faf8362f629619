"""The database is dumped and restored, or upgraded: what a copy has, and what it may not do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from rowqueue.embedded import Binaries, EmbeddedUnavailable, find_binaries
from servers.load import Load
from servers.node import Node, own_node
from support.calls import Session, claim, enqueue, enqueue_many, job, refused, rows, running, value
from support.server import session_options

UNCONFIRMED = "RQ203"


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def programs(db: Session) -> Binaries:
    """Returns the programs of the server's own version."""
    return find_binaries(str(db.info.server_version // 10000), prefer="installed")


@contextmanager
def copied(dump: Path, db: Session, dsn: str) -> Iterator[Session]:
    """Restores a dump beside the original and yields a session on the copy."""
    name = f"{db.info.dbname}_copy"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    copy = dsn.replace(f"/{db.info.dbname}", f"/{name}")
    try:
        run(programs(db) / "pg_restore", "--exit-on-error", f"--dbname={copy}", dump)
        with psycopg.connect(copy, **session_options()) as session:
            yield session
    finally:
        db.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_a_dump_under_load_has_all_jobs_and_its_copy_draws_no_token_twice(
    dsn: str, db: Session, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    load = Load(dsn)
    with load.on():
        load.until_more()
        enqueued = dict(load.seen.enqueued)
        completed = list(load.seen.completed)
        value(db, "tick")
        run(programs(db) / "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={dsn}")
        load.until_more()
    given_out = {one.token for one in load.seen.claims} | {
        row.token for row in db.execute("select token from rowqueue.jobs where token is not null")
    }
    with copied(dump, db, dsn) as copy:
        there = {row.id: row for row in copy.execute("select id, status, token from rowqueue.jobs")}
        assert set(enqueued.values()) <= there.keys()
        assert all(there[one.job_id].status == "completed" for one in completed)
        with refused(copy, UNCONFIRMED):
            claim(copy, 10)
        assert value(copy, "confirm_identity") is True
        enqueue_many(copy, *[{}] * 50)
        again = {one.token for one in claim(copy, 1000, queues=["default", "by-hand"])}
        assert len(again) >= 50
        assert not again & given_out
        # The original goes on as before.
        enqueue(db)
        assert len(claim(db)) == 1


def every_state(db: Session) -> dict[str, UUID]:
    """Makes a job in every state and returns their ids."""
    done, failed, held = running(db), running(db), running(db)
    rows(db, "complete", job_id=done.id, token=done.token, result={"n": 1})
    value(db, "fail_with_backoff", job_id=failed.id, token=failed.token, error="no", retry=False)
    cancelled = enqueue(db)
    value(db, "cancel", job_id=cancelled)
    value(db, "tick")
    return {
        "completed": done.id,
        "failed": failed.id,
        "cancelled": cancelled,
        "running": held.id,
        "pending": enqueue(db, payload={"n": 2}),
    }


def assert_lives_on(db: Session, states: dict[str, UUID]) -> None:
    """Every job is as it was; once confirmed, those that are left run, and new ones too."""
    for status, job_id in states.items():
        assert job(db, job_id).status == status
    value(db, "confirm_identity")
    fresh = enqueue(db)
    value(db, "tick")
    left = {states["pending"], states["running"], fresh}
    queues = [row.queue for row in db.execute("select distinct queue from rowqueue.jobs")]
    claimed = claim(db, 10, queues=queues)
    assert {one.id for one in claimed} == left
    for one in claimed:
        rows(db, "complete", job_id=one.id, token=one.token)
    rows(db, "retry", job_id=states["failed"])
    assert value(db, "tick")["below_floor"] == 0


@pytest.fixture
def newest() -> Iterator[Node]:
    """A server of the newest version, empty."""
    try:
        with own_node(version="18", installed=False) as node:
            yield node
    except EmbeddedUnavailable as error:
        pytest.skip(f"needs PostgreSQL 18: {error}")


@pytest.fixture
def oldest() -> Iterator[Node]:
    """A server of the oldest supported version, with the schema."""
    try:
        with own_node(version="15") as node:
            yield node
    except EmbeddedUnavailable as error:
        pytest.skip(f"needs PostgreSQL 15: {error}")


def test_a_dump_of_15_lives_on_in_18(
    oldest: Node, newest: Node, binaries: Binaries, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    with oldest.connect() as db:
        states = every_state(db)
    run(binaries / "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={oldest.url}")
    with newest.connect() as db:
        for role in ("producer", "worker", "observer", "admin"):
            db.execute(f"create role rowqueue_{role}")
        run(binaries / "pg_restore", "--exit-on-error", f"--dbname={newest.url}", dump)
        with refused(db, UNCONFIRMED):
            claim(db)
        assert_lives_on(db, states)


def test_pg_upgrade_from_15_to_18_keeps_every_job(oldest: Node, newest: Node) -> None:
    with oldest.connect() as db:
        states = every_state(db)
    oldest.stop()
    newest.stop()
    # 18 makes clusters with checksums, 15 does not, and both must be alike.
    oldest.run("pg_checksums", "--enable", "--no-sync", f"--pgdata={oldest.data}")
    for node in (oldest, newest):
        (node.data / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")
    old_programs = find_binaries("15", prefer="installed").folder
    new_programs = find_binaries("18", prefer="installed").folder
    newest.run(
        "pg_upgrade",
        f"--old-bindir={old_programs}",
        f"--new-bindir={new_programs}",
        f"--old-datadir={oldest.data}",
        f"--new-datadir={newest.data}",
        "--username=postgres",
        cwd=newest.data,
    )
    newest.start()
    with newest.connect() as db:
        assert_lives_on(db, states)
