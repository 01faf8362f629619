"""`rowqueue.schema`: the schema as one script of plain SQL."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest
from check_migrations import dump

from rowqueue import schema
from rowqueue.embedded import Binaries


def psql(binaries: Binaries, dsn: str, script: str) -> subprocess.CompletedProcess[str]:
    """Pipes a script into psql, without any option that would help it."""
    command = [str(binaries / "psql"), "-X", "-q", dsn]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False)


def test_psql_alone_installs_the_schema(dsn: str, empty_dsn: str, binaries: Binaries) -> None:
    done = psql(binaries, empty_dsn, schema.render())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert dump(binaries / "pg_dump", empty_dsn) == dump(binaries / "pg_dump", dsn)


def test_the_schema_can_be_installed_over_itself(dsn: str, binaries: Binaries) -> None:
    before = dump(binaries / "pg_dump", dsn)
    assert "ERROR" not in psql(binaries, dsn, schema.render()).stderr
    assert dump(binaries / "pg_dump", dsn) == before


def test_a_statement_that_fails_leaves_nothing_behind(empty_dsn: str, binaries: Binaries) -> None:
    broken = schema.render().replace("\ncommit;", "\nselect 1/0;\ncommit;")
    assert "division by zero" in psql(binaries, empty_dsn, broken).stderr
    with psycopg.connect(empty_dsn) as session:
        assert session.execute("select to_regnamespace('rowqueue')").fetchone() == (None,)


def test_the_script_holds_no_command_of_psql() -> None:
    assert [line for line in schema.render().splitlines() if line.startswith("\\")] == []


def test_a_command_of_psql_that_is_not_understood_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "install.sql").write_text("\\connect elsewhere\n")
    monkeypatch.setattr(schema, "sql_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"install.sql:1: .*connect elsewhere"):
        schema.render()
