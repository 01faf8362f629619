"""From every earlier version to the newest: jobs in every state live on."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest
from check_migrations import dump

from rowqueue import migrate as migrating
from rowqueue import schema
from rowqueue.embedded import Binaries
from rowqueue.migrate import migrate

FILES = sorted(schema.migrations_folder().glob("*.sql"))


@pytest.fixture(params=FILES[:-1], ids=lambda file: file.stem)
def upgrade(
    request: pytest.FixtureRequest,
    empty_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> psycopg.Connection:
    """A session on a database at an earlier version, and the folder with the rest in place."""
    for file in FILES[: FILES.index(request.param) + 1]:
        shutil.copy(file, tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "migrations_folder", lambda: tmp_path)
        migrate(empty_dsn)
    return psycopg.connect(empty_dsn, autocommit=True)


def test_an_upgraded_database_is_the_same_as_a_new_one(
    upgrade: psycopg.Connection, empty_dsn: str, dsn: str, binaries: Binaries
) -> None:
    upgrade.close()
    migrate(empty_dsn)
    assert dump(binaries / "pg_dump", empty_dsn) == dump(binaries / "pg_dump", dsn)


def test_jobs_in_every_state_live_on(upgrade: psycopg.Connection, empty_dsn: str) -> None:
    with upgrade as session:
        for job_type in ("finished", "running", "waiting"):
            session.execute("select rowqueue.enqueue(%s)", [job_type])
        session.execute(
            "select rowqueue.enqueue('delayed', run_after => now() + interval '1 hour'),"
            " rowqueue.enqueue('keyed', unique_key => 'k', queue => 'other')"
        )
        claim = "select id, token from rowqueue.claim_next('w')"
        finished, running = session.execute(claim).fetchone(), session.execute(claim).fetchone()
        complete = "select rowqueue.complete(%s, %s)"
        session.execute(complete, finished)

        migrate(empty_dsn)

        session.execute(complete, running)
        session.execute(complete, finished)  # a repeated call does nothing
        claimed = session.execute(
            "select job_type from rowqueue.claim_next('w', '{default,other}', 10)"
        ).fetchall()
        assert sorted(claimed) == [("keyed",), ("waiting",)]
        again = session.execute("select rowqueue.enqueue('keyed', unique_key => 'k')").fetchone()
        statuses = dict(
            session.execute("select job_type, status from rowqueue.job order by 1").fetchall()
        )
        assert again is not None
        assert statuses == {
            "delayed": "pending",
            "finished": "completed",
            "keyed": "running",
            "running": "completed",
            "waiting": "running",
        }


def test_a_job_that_ran_during_the_upgrade_is_taken_back_from_a_worker_that_died(
    upgrade: psycopg.Connection, empty_dsn: str
) -> None:
    with upgrade as session:
        session.execute(
            "select rowqueue.enqueue('sync', queue => q) from unnest(array['a', 'b']) q"
        )
        session.execute("select rowqueue.claim_next('w', '{a,b}', 10)")
        migrate(empty_dsn)
        expired = "update rowqueue.jobs_live set lease_until = now() - interval '1 second'"
        assert session.execute(expired).rowcount == 2
        reaped = session.execute("select outcome from rowqueue.reap_stuck()").fetchall()
        assert reaped == [("pending",)] * 2
        claim = "select job_type from rowqueue.claim_next('w', '{a,b}')"
        assert session.execute(claim).fetchall() == [("sync",)]
