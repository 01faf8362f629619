"""What concerns the database: its schema, its upkeep, one for development."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import psycopg

from rowqueue import Queue
from support.command import Run, invoke, process


def test_tick_tells_what_it_did(run: Run) -> None:
    assert re.search(r"^reaped 0$", run("tick").stdout, re.MULTILINE)
    assert json.loads(run("tick", "--json").stdout)["reaped"] == 0


def test_sql_prints_what_installs_the_schema(empty_dsn: str) -> None:
    printed = invoke("sql").stdout
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(printed.encode())
        assert Queue(connection).version()
    assert json.loads(invoke("sql", "--json").stdout) == {"sql": printed}


def test_migrate_installs_the_schema_once(run: Run, empty_dsn: str) -> None:
    assert "applied 0001" in run("migrate", dsn=empty_dsn).stdout
    assert run("migrate", dsn=empty_dsn).stdout == "nothing to do\n"
    assert json.loads(run("migrate", "--json", dsn=empty_dsn).stdout) == {"applied": []}
    assert run("enqueue", "sync", dsn=empty_dsn).exit_code == 0


def test_dev_serves_a_database_that_is_there_again_next_time(open_folder: Path) -> None:
    for expected in (0, 1):
        with process("dev", "--data", str(open_folder / "db"), "--json") as child:
            assert child.stdout is not None
            dsn = json.loads(child.stdout.readline())["dsn"]
            assert (
                len(json.loads(invoke("jobs", "list", "--dsn", dsn, "--json").stdout)) == expected
            )
            invoke("enqueue", "sync", "--dsn", dsn)
            child.send_signal(signal.SIGINT)
            _, complaint = child.communicate()
            assert (child.returncode, complaint) == (0, "")
        assert invoke("health", "--dsn", dsn).exit_code == 3
