"""Each failure has its exit code and one clear line, and no traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path
from uuid import uuid4

import pytest

from rowqueue import Queue
from support.command import NOWHERE, Db, Run, commands, process


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["jobs"], "Missing command. See rowqueue jobs --help."),
        (["nonsense"], "No such command 'nonsense'. See rowqueue --help."),
        (["enqueue"], "Missing argument 'JOB_TYPE'. See rowqueue enqueue --help."),
        (["enqueue", "sync", "--priority", "x"], "Invalid value for '--priority'"),
        (["enqueue", "sync", "--payload", "{"], "Invalid value for '--payload': not JSON"),
        (["enqueue", "sync", "--payload", '{"n": NaN}'], "Invalid value for '--payload': not JSON"),
        (["enqueue", "sync", "--payload", "[" * 100_000], "Invalid value for '--payload': not JS"),
        (["enqueue", "sync", "--payload", "[1]"], "payload must be a JSON object"),
        (["enqueue", "sync", "--payload", r'{"s": "\u0000"}'], "unsupported Unicode escape"),
        (["enqueue", "sync", "--payload", '{"n": 1e400}'], "payload has a number beyond"),
        (["enqueue", "sync", "--run-after", "2026-01-01"], "Invalid value for '--run-after'"),
        (["enqueue", "sync", "--run-after", "soon"], "Invalid value for '--run-after'"),
        (["enqueue", "Not A Name"], "job_type is not a valid name"),
        (["enqueue", "sync", "--max-attempts", "0"], "max_attempts must be between"),
        (["jobs", "show", "1"], "Invalid value for 'JOB_ID': '1' is not a valid UUID."),
        (["jobs", "list", "--status", "odd"], "Invalid value for '--status'"),
        (["health", "--dsn", "nonsense"], "the connection string is not valid"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_line(run: Run, args: list[str], line: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"rowqueue: {line}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["show", "watch", "cancel", "retry"])
def test_an_unknown_job_exits_with_1_and_one_line(run: Run, verb: str) -> None:
    job_id = str(uuid4())
    result = run("jobs", verb, job_id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(rf"rowqueue: .*{job_id}.*\n", result.stderr)


def test_what_a_jobs_state_does_not_allow_exits_with_1_and_one_line(run: Run, queue: Queue) -> None:
    result = run("jobs", "retry", str(queue.enqueue("sync")))
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)


def test_a_database_without_the_schema_exits_with_1_and_says_what_to_do(
    run: Run, empty_dsn: str
) -> None:
    for args in (["enqueue", "sync"], ["health"], ["jobs", "list"], ["tick"]):
        result = run(*args, dsn=empty_dsn)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.endswith("rowqueue migrate\n")


@pytest.mark.parametrize("path", [path for path in commands() if path[0] not in ("dev", "sql")])
def test_a_database_out_of_reach_exits_with_3_and_one_line(
    path: tuple[str, ...], handlers: Path
) -> None:
    arguments = {
        "enqueue": ["sync"],
        "worker": ["handlers:worker"],
        **{verb: [str(uuid4())] for verb in ("show", "watch", "cancel", "retry")},
    }
    with process(*path, *arguments.get(path[-1], []), dsn=NOWHERE, cwd=handlers) as child:
        output, complaint = child.communicate()
    assert (child.returncode, output) == (3, "")
    if path == ("worker",):
        *_, complaint = complaint.splitlines(keepends=True)  # before that, it logs its own end
    assert re.fullmatch(r"rowqueue: .*connection failed: .*\n", complaint)


def test_a_database_that_goes_away_exits_with_3_and_one_line(
    dsn: str, queue: Queue, db: Db
) -> None:
    job_id = queue.enqueue("sync")
    with process("jobs", "watch", str(job_id), "--interval", "0.05", dsn=dsn) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "pending\n"
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        _, complaint = child.communicate()
    assert child.returncode == 3
    assert re.fullmatch(r"rowqueue: database out of reach: .*\n", complaint)


def test_a_folder_that_cannot_be_made_exits_with_1_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with process("dev", "--data", str(tmp_path / "file" / "db")) as child:
        _, complaint = child.communicate()
    assert (child.returncode, complaint.count("\n")) == (1, 1)
    assert complaint.startswith("rowqueue: ")


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with process("sql", stdout=writer) as child:
        os.close(writer)
        assert child.communicate()[1] == ""
        assert child.returncode == 1
