"""The demo as a whole: on a terminal, for programs, in a database given, and interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from rowqueue.embedded import Binaries
from rowqueue.interrupts import Interrupts
from support.command import NO_DSN, invoke
from support.server import Server, fresh_database
from support.waiting import eventually

Db = psycopg.Connection[Any]
COMMAND = [sys.executable, "-m", "rowqueue", "demo"]
ROWS = 60


@dataclass(frozen=True, slots=True)
class Run:
    """A demo that has ended."""

    code: int
    printed: str
    scratch: Path

    def pids(self) -> set[int]:
        return {int(pid) for pid in re.findall(r"started.*pid (\d+)", self.printed)}


def environment(scratch: Path) -> dict[str, str]:
    """An environment without a database, in which temporary folders can be counted."""
    scratch.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in NO_DSN}
    return {**kept, "TMPDIR": str(scratch), "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if its parent has not taken notice yet."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip() in ("", "Z", "Zs")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A source with rows that are good and one that is not."""
    file = tmp_path_factory.mktemp("source") / "people.csv"
    rows = [f"{n},name {n}" for n in range(1, ROWS + 1)]
    file.write_text("\n".join(["id,name", *rows, "one too short"]) + "\n")
    return f"csv:{file}"


@pytest.fixture(scope="module")
def empty_database(server: Server, template: NoopExecutor) -> Iterator[str]:
    with fresh_database(server, template, empty=True) as name:
        yield server.url(name)


@pytest.fixture(scope="module")
def runs(
    source: str, empty_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Run]]:
    """Three demos, side by side: each waits most of the time for a lease to run out."""
    folder = tmp_path_factory.mktemp("runs")
    common = [*COMMAND, "--source", source, "--workspaces", "3", "--workers", "2"]
    terminal, its_end = pty.openpty()
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        for name, options, output in [
            ("terminal", [], its_end),
            ("kept", ["--keep", "--json"], subprocess.PIPE),
            ("given", ["--dsn", empty_database], subprocess.PIPE),
        ]:
            started[name] = stack.enter_context(
                subprocess.Popen(
                    [*common, *options],
                    env=environment(folder / name),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.PIPE if output == subprocess.PIPE else output,
                )
            )
        os.close(its_end)
        printed = {"terminal": b"".join(iter(lambda: _read(terminal), b""))}
        os.close(terminal)
        for name in ("kept", "given"):
            printed[name], complaints = started[name].communicate()
            assert complaints.decode() == ""
    yield {
        name: Run(process.wait(), printed[name].decode(), folder / name)
        for name, process in started.items()
    }
    kept = json.loads(printed["kept"])
    os.kill(kept["server_pid"], signal.SIGTERM)
    eventually(lambda: is_gone(kept["server_pid"]), what="the server to end")
    shutil.rmtree(Path(kept["folder"]).parent)


def _read(terminal: int) -> bytes:
    with suppress(OSError):  # what Linux says once nobody holds the other end any more
        return os.read(terminal, 65536)
    return b""


def test_every_job_completes_although_a_page_fails_and_a_worker_is_killed(
    runs: dict[str, Run],
) -> None:
    kept = json.loads(runs["kept"].printed)
    syncs = [job for job in kept["jobs"] if job["job_type"] == "sync"]

    assert runs["kept"].code == 0
    assert kept["ok"] is True
    assert (kept["records"], kept["errors"]) == (ROWS, 1)
    assert {job["status"] for job in kept["jobs"]} == {"completed"}
    assert sorted((job["attempts"], job["crashes"]) for job in syncs) == [(1, 0), (2, 0), (2, 1)]
    incidents = [incident for job in syncs for incident in job["incidents"]]
    assert sorted(incident["what"] for incident in incidents) == ["failed", "lost"]
    for incident in incidents:
        assert incident["recovered_at"] > incident["at"]
        assert incident["recovered_by"].startswith("worker ")


def test_the_second_job_type_exports_what_the_first_one_found(runs: dict[str, Run]) -> None:
    kept = json.loads(runs["kept"].printed)
    export = kept["jobs"][-1]
    first_sync = kept["jobs"][0]

    file = Path(urlsplit(export["result"]["exportUrl"]).path)

    assert export["job_type"] == "export"
    assert file.parent == Path(kept["folder"])
    lines = file.read_text().splitlines()
    assert lines[0] == "key,id,name"
    assert len(lines) - 1 == export["result"]["records"] == first_sync["result"]["totalRecords"]


def test_what_is_kept_can_be_looked_at_with_the_line_it_prints(
    runs: dict[str, Run], binaries: Binaries
) -> None:
    line = json.loads(runs["kept"].printed)["psql"]
    path = f"{Path(binaries / 'psql').parent}{os.pathsep}{os.environ['PATH']}"

    shown = subprocess.run(
        ["sh", "-c", line], env={"PATH": path}, capture_output=True, text=True, check=True
    ).stdout
    with psycopg.connect(shlex.split(line)[1]) as db:
        records = db.execute("select count(*) from rowqueue_demo.records").fetchone()

    assert re.search(r"sync +\| completed +\| +2 +\| +1 +\| worker lost", shown)
    assert records == (ROWS,)


def test_a_terminal_shows_bars_and_then_what_happened(runs: dict[str, Run]) -> None:
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", runs["terminal"].printed)

    assert runs["terminal"].code == 0
    for shown in (
        r"━━━━",
        r"worker dead, lease ends in \d",
        r"worker \d \(pid \d+\), killed with SIGKILL on page \d+",
        r"attempt 1 failed: ConnectionResetError: the source hung up on page \d+",
        r"rescued: attempt 2, taken by worker \d",
        r"retried: attempt 2, taken by worker \d",
        rf"All 4 jobs completed in \d+\.\d s: {ROWS} records, 1 error; 1 retried, 1 rescued",
        r"row 61: 1 fields below 2 headings",
        r"in a temporary database",
    ):
        assert re.search(shown, printed), f"{shown} in {printed}"


def test_lines_tell_the_same_where_there_is_no_terminal(runs: dict[str, Run]) -> None:
    given = runs["given"]

    assert given.code == 0
    assert "\x1b" not in given.printed
    assert re.search(r"^ +\d+\.\d s  \w+: worker dead, lease", given.printed, re.MULTILINE)
    assert re.search(r"All 4 jobs completed in .* 1 retried, 1 rescued", given.printed)
    assert all(line == line.rstrip() for line in given.printed.splitlines())


def test_a_database_that_is_given_keeps_the_jobs_alone(
    runs: dict[str, Run], empty_database: str
) -> None:
    with psycopg.connect(empty_database) as db:
        jobs = db.execute("select queue, status, count(*) from rowqueue.jobs group by 1, 2")
        assert jobs.fetchall() == [("demo", "completed", 4)]
        tables = db.execute("select from pg_namespace where nspname = 'rowqueue_demo'")
        assert tables.fetchall() == []
    password = urlsplit(empty_database).password
    assert password is None or password not in runs["given"].printed


def test_nothing_is_left_of_a_demo_that_has_ended(runs: dict[str, Run]) -> None:
    for name in ("terminal", "given"):
        assert len(runs[name].pids()) == 3
        assert all(is_gone(pid) for pid in runs[name].pids())
        assert list(runs[name].scratch.glob("rowqueue-demo-*")) == []


@pytest.fixture
def interrupted(dsn: str, db: Db, tmp_path: Path) -> Iterator[Callable[[signal.Signals], Run]]:
    """Starts a demo on long work, and sends it a signal while its workers are at it."""
    with ExitStack() as stack:

        def run(number: signal.Signals) -> Run:
            log = tmp_path / "log"
            with log.open("wb") as output:
                demo = subprocess.Popen(
                    [*COMMAND, "--dsn", dsn], env=environment(tmp_path / "s"), stdout=output
                )
            stack.callback(demo.wait)
            stack.callback(demo.kill)
            eventually(lambda: _running(db) == 2, what="both workers to be at work")
            demo.send_signal(number)
            return Run(demo.wait(timeout=60), log.read_text(), tmp_path / "s")

        yield run


def _running(db: Db) -> int:
    return len(db.execute("select from rowqueue.jobs where status = 'running'").fetchall())


def test_an_interrupted_demo_leaves_nothing_running(
    interrupted: Callable[[signal.Signals], Run], db: Db
) -> None:
    run = interrupted(signal.SIGINT)

    assert run.code == 130
    assert len(run.pids()) >= 2
    assert all(is_gone(pid) for pid in run.pids())
    assert list(run.scratch.iterdir()) == []
    statuses = db.execute("select distinct status, error from rowqueue.jobs").fetchall()
    assert statuses == [("cancelled", "the demo was stopped")]
    assert db.execute("select to_regnamespace('rowqueue_demo')").fetchone() == (None,)


def test_the_workers_of_a_demo_that_is_killed_end_too(
    interrupted: Callable[[signal.Signals], Run],
) -> None:
    run = interrupted(signal.SIGKILL)

    assert len(run.pids()) >= 2
    eventually(lambda: all(is_gone(pid) for pid in run.pids()), what="the workers to end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_waits_while_it_is_held(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        interrupts.hold()
        interrupts.check()
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(number) == before


def test_two_demos_do_not_share_a_database(db: Db, dsn: str, source: str) -> None:
    db.execute("select pg_advisory_lock(hashtext('rowqueue demo'))")

    result = invoke("demo", "--dsn", dsn, "--source", source)

    assert result.exit_code == 1
    assert result.stderr == "rowqueue: another demo runs in this database\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("oracle:x", "no such source: oracle:x (there are stdlib, csv:PATH and http:URL)"),
        ("csv:/nowhere.csv", "/nowhere.csv: No such file or directory"),
        ("csv:/dev/null", "there is nothing in csv:/dev/null"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/?page=1: [Errno"),
    ],
)
def test_a_source_that_is_not_to_be_had_is_told_at_once(source: str, complaint: str) -> None:
    result = invoke("demo", "--source", source)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"rowqueue: {complaint}")
    assert result.stderr.count("\n") == 1


def test_a_worker_that_ends_by_itself_ends_the_demo_with_what_it_said(
    dsn: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no handlers today')"]
    monkeypatch.setattr("rowqueue.demo.workers._COMMAND", command)

    result = invoke("demo", "--dsn", dsn, "--source", source)

    assert result.exit_code == 1
    assert result.stderr == (
        "rowqueue: worker 1 ended with exit code 1; it said: no handlers today\n"
    )
