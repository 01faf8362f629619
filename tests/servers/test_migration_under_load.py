"""The schema is migrated while jobs are enqueued, claimed and completed."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from rowqueue import migrate as migrating
from rowqueue import schema
from rowqueue.migrate import migrate
from servers.load import Load
from support.server import session_options

FILES = sorted(schema.migrations_folder().glob("*.sql"))


@pytest.fixture(params=FILES[:-1], ids=lambda file: file.stem)
def earlier_dsn(
    request: pytest.FixtureRequest,
    empty_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The connection string of a database at an earlier version."""
    for file in FILES[: FILES.index(request.param) + 1]:
        shutil.copy(file, tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "migrations_folder", lambda: tmp_path)
        migrate(empty_dsn)
    return empty_dsn


def test_a_migration_loses_no_job_and_work_goes_on(earlier_dsn: str) -> None:
    load = Load(earlier_dsn)
    with load.on():
        load.until_more()
        migrate(earlier_dsn)
        load.until_more()
    with psycopg.connect(earlier_dsn, **session_options()) as db:
        verdict = load.verdict(db)
    assert verdict.is_flawless, verdict
