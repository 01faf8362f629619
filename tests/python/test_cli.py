"""The command line: what it prints, and its exit codes with one clear line for each failure."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict

from rowqueue import Queue
from rowqueue.cli import main

Db = psycopg.Connection[Any]
Run = Callable[..., Result]

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
NO_DSN: dict[str, str | None] = {
    "ROWQUEUE_DSN": None,
    "DATABASE_URL": None,
    **{name: None for name in os.environ if name.startswith("PG")},
}


@pytest.fixture
def run(dsn: str) -> Run:
    """Runs a command on the test's database."""

    def run_command(*args: str, dsn: str = dsn, **options: Any) -> Result:
        return invoke(*args, env={"ROWQUEUE_DSN": dsn}, **options)

    return run_command


def invoke(*args: str, env: dict[str, str] | None = None, **options: Any) -> Result:
    return CliRunner().invoke(main, args, env={**NO_DSN, **(env or {})}, **options)


@contextmanager
def process(*args: str, dsn: str = "", **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Runs a command as a process of its own, and ends it if the test has not."""
    env = {name: value for name, value in os.environ.items() if name not in NO_DSN}
    with subprocess.Popen(
        [sys.executable, "-m", "rowqueue", *args],
        env=env | {"ROWQUEUE_DSN": dsn},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def queue(db: Db) -> Queue:
    return Queue(db)


def failed(queue: Queue, error: str = "no") -> UUID:
    job_id = queue.enqueue("sync")
    (job,) = queue.claim_next("w")
    queue.fail_with_backoff(job_id, token=job.token, error=error, retry=False)
    return job_id


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def test_there_are_the_commands_of_the_contract() -> None:
    assert {" ".join(path) for path in commands()} >= {
        "demo", "dev", "migrate", "worker", "enqueue", "health", "tick", "sql",
        "jobs list", "jobs show", "jobs watch", "jobs cancel", "jobs retry",
    }  # fmt: skip


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_help_teaches_by_example(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert re.search(r"^  Examples:\n    (.*\n)*?.*rowqueue ", result.output, re.MULTILINE)
    assert max(map(len, result.output.splitlines())) <= 100
    assert "..." not in result.output.replace("[ARGS]...", "")


def test_a_bare_command_shows_the_help() -> None:
    assert invoke().output == invoke("--help").output


def test_the_version_is_told() -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output.startswith("rowqueue")


def test_python_m_rowqueue_is_the_command() -> None:
    with process("--version") as child:
        assert child.communicate()[0] == invoke("--version").output
        assert child.returncode == 0


def test_enqueue_prints_the_id_and_nothing_else(run: Run, queue: Queue) -> None:
    later = datetime.now(timezone(timedelta(hours=2))) + timedelta(days=1)
    result = run(
        "enqueue", "sync", "--payload", '{"mode": "initial"}', "--workspace-id", str(uuid4()),
        "--priority", "5", "--run-after", later.isoformat(), "--max-attempts", "1",
        "--timeout-ms", "1000", "--unique-key", "k", "--queue", "slow",
    )  # fmt: skip
    assert result.exit_code == 0
    job = queue.get_job(result.output.strip())
    assert job is not None
    assert (job.job_type, job.payload, job.priority) == ("sync", {"mode": "initial"}, 5)
    assert (job.run_after, job.max_attempts) == (later, 1)
    assert (job.timeout_ms, job.unique_key, job.queue) == (1000, "k", "slow")


def test_a_payload_can_come_from_stdin_and_is_stored_as_it_is_written(
    run: Run, queue: Queue
) -> None:
    result = run("enqueue", "sync", "--payload", "-", "--json", input='{"n": 12345678901234567.5}')
    job = queue.get_job(json.loads(result.output)["id"])
    assert job is not None
    assert job.payload_json == '{"n": 12345678901234567.5}'


def test_jobs_are_listed_newest_first_and_can_be_picked(run: Run, queue: Queue) -> None:
    first = failed(queue, "it broke")
    second = queue.enqueue("export")
    lines = run("jobs", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "TYPE", "STATUS", "ATTEMPTS", "CREATED", "NOTE"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [str(second), "export", "pending"],
        [str(first), "sync", "failed"],
    ]
    assert lines[2].endswith("it broke")
    for pick in (["--status", "failed"], ["--job-type", "sync"], ["--before", str(second)]):
        (job,) = json.loads(run("jobs", "list", *pick, "--json").stdout)
        assert (job["id"], job["error"]) == (str(first), "it broke")
    assert len(json.loads(run("jobs", "list", "--limit", "1", "--json").stdout)) == 1
    assert json.loads(run("jobs", "list", "--workspace-id", str(uuid4()), "--json").stdout) == []


def test_a_job_is_shown(run: Run, queue: Queue) -> None:
    job_id = queue.enqueue("sync", payload={"mode": "initial"})
    shown = run("jobs", "show", str(job_id)).stdout
    assert re.search(rf"^id +{job_id}$", shown, re.MULTILINE)
    assert re.search(r'^payload +{"mode": "initial"}$', shown, re.MULTILINE)
    as_json = json.loads(run("jobs", "show", str(job_id), "--json").stdout)
    assert (as_json["id"], as_json["payload"]) == (str(job_id), {"mode": "initial"})
    assert as_json["result"] is None


def test_a_job_that_python_cannot_decode_is_shown_all_the_same(
    run: Run, queue: Queue, db: Db
) -> None:
    job_id = queue.enqueue("sync")
    payload = '{"n": ' + "9" * 5000 + "}"
    db.execute("update rowqueue.jobs set payload = %s::jsonb", [payload])
    assert payload in run("jobs", "show", str(job_id)).stdout
    assert json.loads(run("jobs", "show", str(job_id), "--json").stdout)["payload"] == payload


def test_what_a_job_contains_cannot_steer_the_terminal(run: Run, queue: Queue) -> None:
    job_id = failed(queue, "\x1b[31mred\x1b[0m [bold]b[/] \u202e right\nto left")
    for result in (run("jobs", "list"), run("jobs", "show", str(job_id))):
        assert "[31mred" in result.stdout
        assert "[bold]b[/]" in result.stdout
        assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_a_job_is_cancelled_and_run_again(run: Run, queue: Queue) -> None:
    job_id = str(queue.enqueue("sync"))
    assert run("jobs", "cancel", job_id, "--reason", "no need").stdout == "cancelled\n"
    job = queue.get_job(job_id)
    assert job is not None
    assert "no need" in (job.error or "")
    assert run("jobs", "retry", job_id).stdout == "pending\n"
    queue.claim_next("w")
    assert run("jobs", "cancel", job_id).stdout == "running: its worker is asked to stop\n"
    cancelled = run("jobs", "cancel", job_id, "--json")
    assert json.loads(cancelled.stdout) == {"id": job_id, "status": "cancelled"}
    retried = run("jobs", "retry", job_id, "--json")
    assert json.loads(retried.stdout) == {"id": job_id, "status": "pending"}


def test_watching_prints_a_line_for_each_change(dsn: str, queue: Queue) -> None:
    job_id = queue.enqueue("sync")
    with process("jobs", "watch", str(job_id), "--interval", "0.05", dsn=dsn) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "pending\n"
        (job,) = queue.claim_next("w")
        assert child.stdout.readline() == "running\n"
        queue.report_progress(job_id, token=job.token, current=5, total=34, message="page 5 of 34")
        assert child.stdout.readline() == "running 5/34 page 5 of 34\n"
        queue.complete(job_id, token=job.token)
        assert child.stdout.readline() == "completed\n"
        assert child.wait() == 0


def test_watching_a_job_that_fails_exits_with_1(run: Run, queue: Queue) -> None:
    job_id = failed(queue, "it broke")
    result = run("jobs", "watch", str(job_id))
    assert (result.exit_code, result.stdout) == (1, "failed it broke\n")
    assert result.stderr == f"rowqueue: job {job_id} failed: it broke\n"
    queue.retry(job_id)
    queue.cancel(job_id)
    result = run("jobs", "watch", str(job_id), "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (1, "cancelled")


def test_watching_on_a_terminal_shows_a_bar(dsn: str, queue: Queue) -> None:
    job_id = queue.enqueue("sync")
    (job,) = queue.claim_next("w")
    queue.report_progress(job_id, token=job.token, current=5, total=34, message="page 5")
    terminal, its_end = os.openpty()
    with process("jobs", "watch", str(job_id), "--interval", "0.05", dsn=dsn, stdout=its_end) as (
        child
    ):
        os.close(its_end)
        seen = ""
        while "page 5" not in seen:
            seen += os.read(terminal, 10_000).decode()
        assert "5/34" in seen
        assert "━" in seen
        queue.complete(job_id, token=job.token)
        assert child.wait() == 0
    os.close(terminal)


def test_a_healthy_queue_exits_with_0(run: Run, queue: Queue) -> None:
    queue.enqueue("sync")
    result = run("health")
    assert (result.exit_code, result.stderr) == (0, "")
    header, line = result.stdout.splitlines()
    assert header.split()[:3] == ["QUEUE", "PENDING", "DUE"]
    assert line.split()[:6] == ["default", "1", "1", "0", "0", "0"]
    healthy = json.loads(run("health", "--json").stdout)
    assert (healthy["healthy"], healthy["alerts"]) == (True, [])
    assert healthy["queues"][0]["pending"] == 1


@pytest.mark.parametrize(
    ("trouble", "alert"),
    [
        (lambda queue, _: failed(queue), "100% failed in the last hour in queue default"),
        (
            lambda queue, _: queue.enqueue_many([{"job_type": "sync"}] * 101),
            "101 due in queue default",
        ),
        (
            lambda queue, db: (
                queue.enqueue("sync"),
                queue.claim_next("w"),
                db.execute("update rowqueue.jobs set lease_until = now() - interval '1 minute'"),
            ),
            "1 stuck in queue default",
        ),
    ],
    ids=["failures", "backlog", "stuck"],
)
def test_a_queue_that_is_not_healthy_exits_with_1(
    run: Run, queue: Queue, db: Db, trouble: Callable[[Queue, Db], object], alert: str
) -> None:
    trouble(queue, db)
    result = run("health")
    assert (result.exit_code, result.stderr) == (1, f"rowqueue: not healthy: {alert}\n")
    as_json = json.loads(run("health", "--json").stdout)
    assert (as_json["healthy"], as_json["alerts"]) == (False, [alert])


def test_the_bounds_of_health_can_be_moved(run: Run, queue: Queue) -> None:
    failed(queue)
    queue.enqueue_many([{"job_type": "sync"}] * 101)
    assert run("health", "--max-due", "1000", "--max-failure-rate", "1").exit_code == 0


@pytest.fixture
def handlers(tmp_path: Path) -> Path:
    """A folder with the module handlers, in which there is a worker."""
    (tmp_path / "handlers.py").write_text(
        "from rowqueue import Job, Worker\n"
        "worker = Worker()\n"
        "@worker.handler('sync')\n"
        "def sync(job: Job) -> object:\n"
        "    return job.payload\n"
    )
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--processes", "2"]])
def test_a_worker_is_found_by_its_name_and_works(
    dsn: str, queue: Queue, handlers: Path, more: list[str]
) -> None:
    job_id = queue.enqueue("sync", payload={"n": 1})
    with process("worker", "handlers:worker", "--burst", *more, dsn=dsn, cwd=handlers) as child:
        child.communicate()
        assert child.returncode == 0
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.result) == ("completed", {"n": 1})


@pytest.mark.parametrize("target", ["handlers", "handlers:nobody", "nowhere:worker"])
def test_a_worker_that_is_not_there_is_wrong_usage(dsn: str, handlers: Path, target: str) -> None:
    with process("worker", target, dsn=dsn, cwd=handlers) as child:
        _, complaint = child.communicate()
    assert (child.returncode, complaint.count("\n")) == (2, 1)


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


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["health", "--dsn", "{dsn}"], {"ROWQUEUE_DSN": NOWHERE}),
        (["--dsn", "{dsn}", "health"], {"ROWQUEUE_DSN": NOWHERE}),
        (["--dsn", NOWHERE, "health", "--dsn", "{dsn}"], {}),
        (["health"], {"ROWQUEUE_DSN": "{dsn}", "DATABASE_URL": NOWHERE}),
        (["health"], {"ROWQUEUE_DSN": "", "DATABASE_URL": "{dsn}", "PGHOST": "nowhere.invalid"}),
        (["jobs", "list"], {"DATABASE_URL": "{dsn}"}),
    ],
)
def test_the_dsn_comes_from_the_first_place_that_has_one(
    dsn: str, args: list[str], env: dict[str, str]
) -> None:
    result = invoke(
        *(arg.format(dsn=dsn) for arg in args),
        env={name: value.format(dsn=dsn) for name, value in env.items()},
    )
    assert result.exit_code == 0, result.stderr


def test_without_a_dsn_libpqs_own_variables_count(dsn: str) -> None:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    parts = conninfo_to_dict(dsn)
    env = {names[name]: str(value) for name, value in parts.items() if name in names}
    assert invoke("health", env=env | {"PGDATABASE": str(parts["dbname"])}).exit_code == 0


def test_a_dsn_that_names_a_driver_is_understood(dsn: str) -> None:
    named = dsn.replace("postgresql://", "postgresql+psycopg://")
    assert invoke("health", env={"DATABASE_URL": named}).exit_code == 0


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


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with process("sql", stdout=writer) as child:
        os.close(writer)
        assert child.communicate()[1] == ""
        assert child.returncode == 1


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user can reach, also when the tests run as root."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


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
