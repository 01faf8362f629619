"""The schedules in docs/operations.md are valid, and what they run does its work."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from docs.markdown import ROOT, Block, blocks
from docs.reader import READERS_DATABASE
from docs.session import Place

PAGE = ROOT / "docs" / "operations.md"
CRON_FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
SECONDS = re.compile(r"([1-9]|[1-5]\d) seconds")


def of_language(language: str) -> list[Block]:
    return [block for block in blocks(PAGE) if block.language == language]


UNITS = {
    re.findall(r"\A# /etc/systemd/system/(\S+)", b.text)[0]: b.text for b in of_language("ini")
}


@pytest.fixture
def work(db: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The session, on a database with a stuck job and one that finished a year ago."""
    db.execute("select rowqueue.enqueue(name) from (values ('stuck'), ('old')) as job(name)")
    db.execute("select rowqueue.claim_next('gone', max_jobs => 2)")
    db.execute("update rowqueue.jobs set lease_until = now() - interval '1 s'")
    db.execute(
        "update rowqueue.jobs set status = 'completed', completed_at = now() - interval '1 year'"
        " where job_type = 'old'"
    )
    return db


def left_undone(db: psycopg.Connection[Any]) -> set[str]:
    return {
        row.job_type
        for row in db.execute(
            "select job_type from rowqueue.jobs where status in ('running', 'completed')"
        )
    }


def is_cron_time(fields: list[str]) -> bool:
    """Whether five fields are a time of crontab(5), as far as ``*`` and plain numbers go."""
    return len(fields) == len(CRON_FIELDS) and all(
        field == "*" or low <= int(field) <= high
        for field, (low, high) in zip(fields, CRON_FIELDS, strict=True)
    )


def test_the_crontab_lines_run(work: psycopg.Connection[Any], dsn: str, tmp_path: Path) -> None:
    place = Place.for_database(dsn, tmp_path)
    (table,) = of_language("crontab")
    variables, commands = {}, []
    for line in table.text.replace(READERS_DATABASE, dsn).splitlines():
        if setting := re.match(r"(\w+)=(.*)", line):
            variables[setting[1]] = setting[2]
            continue
        *fields, command = line.split(None, 5)
        assert is_cron_time(fields)
        assert "%" not in command, "cron would end the command there"
        commands.append(command)
    for command in commands:
        environment = {**place.environment, **variables}
        subprocess.run(["sh", "-euc", command], env=environment, check=True)
    assert left_undone(work) == set()


def test_the_pg_cron_lines_run(work: psycopg.Connection[Any]) -> None:
    (block,) = [block for block in of_language("sql") if "cron.schedule" in block.text]
    work.execute("create schema cron")
    work.execute("create table cron.job (name text, schedule text, command text)")
    work.execute(
        "create function cron.schedule(text, text, text) returns bigint language sql as"
        " 'insert into cron.job values ($1, $2, $3) returning 1::bigint'"
    )
    work.execute(block.text.encode())
    for job in work.execute("select * from cron.job").fetchall():
        assert SECONDS.fullmatch(job.schedule) or is_cron_time(job.schedule.split())
        work.execute(job.command.encode())
    assert left_undone(work) == set()


def command_of(unit: str) -> list[str]:
    """Returns what a service starts."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit)
    return shlex.split(parser["Service"]["ExecStart"])


def test_the_timer_starts_a_service_that_ticks(
    work: psycopg.Connection[Any], dsn: str, tmp_path: Path
) -> None:
    assert "rowqueue-tick.timer" in UNITS
    program, *arguments = command_of(UNITS["rowqueue-tick.service"])
    arguments = [argument.replace("${ROWQUEUE_DSN}", dsn) for argument in arguments]
    environment = Place.for_database(dsn, tmp_path).environment
    subprocess.run([Path(program).name, *arguments], env=environment, check=True)
    assert left_undone(work) == {"old"}


def test_the_worker_service_starts_a_worker(dsn: str, tmp_path: Path) -> None:
    program, *arguments = command_of(UNITS["rowqueue-worker.service"])
    (tmp_path / "tasks.py").write_text("import rowqueue\nworker = rowqueue.Worker()\n")
    environment = Place.for_database(dsn, tmp_path).environment
    command = [str(tmp_path / "bin" / Path(program).name), *arguments, "--burst"]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        # The programs are where the reader has them.
        (tmp_path / name).write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", text))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
    )
    ours = [line for line in found.stderr.splitlines() if "rowqueue" in line]
    assert (found.returncode, ours) == (0, []), found.stderr
