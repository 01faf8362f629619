"""Workers in a shell, in Node and in Python: complete each, and side by side on one queue."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import rowqueue
from rowqueue.embedded import Binaries
from support.calls import enqueue, enqueue_many, job, value
from support.waiting import eventually

Db = psycopg.Connection[Any]
Start = Callable[..., "Running"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PACKAGE = Path(rowqueue.__file__).parents[1]
ENDLESS = "/dev/zero"


class Running:
    """An example worker that runs, and what it has printed so far."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._log = folder / f"{len(list(folder.iterdir()))}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=EXAMPLES, stdout=log, stderr=log
            )
        self.name = f"{socket.gethostname()}:{self.process.pid}"

    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        return self.process.wait(timeout=30)


@pytest.fixture
def environment(dsn: str, binaries: Binaries, tmp_path: Path) -> dict[str, str]:
    """What the workers find: the database, psql, and nothing to write to but the test's folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = f"{Path(binaries / 'psql').parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(PACKAGE),
        "ROWQUEUE_DSN": dsn,
        "ROWQUEUE_LEASE": "3",
        "TMPDIR": str(scratch),
    }


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of the Node worker, installed as its first lines say."""
    programs = [shutil.which("node"), shutil.which("npm")]
    if None in programs:
        pytest.skip("node and npm are not both here, so examples/worker.mjs is not tried")
    folder = tmp_path_factory.mktemp("node")
    for file in ("worker.mjs", "package.json"):
        shutil.copy(EXAMPLES / file, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(install, cwd=folder, check=True)
    return ["node", str(folder / "worker.mjs")]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts example workers, and ends those that the test has not."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with ExitStack() as started:

        def run(*command: str) -> Running:
            worker = Running(list(command), logs, environment)
            started.callback(worker.process.wait)
            started.callback(worker.process.kill)
            return worker

        yield run


@pytest.fixture(params=["shell", "node"])
def digester(request: pytest.FixtureRequest) -> list[str]:
    """The command of a worker on queue ``files``, in each language but Python."""
    if request.param == "shell":
        return ["./worker.sh", "files", "./digest.sh"]
    return [*request.getfixturevalue("node"), "files"]


def digest_of(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def enqueue_digest(db: Db, path: str | Path, **arguments: Any) -> UUID:
    return enqueue(db, "digest", payload={"path": str(path)}, queue="files", **arguments)


def until(db: Db, job_id: UUID, status: str) -> Any:
    """Returns a job's row once it has this status."""

    def look() -> Any:
        row = job(db, job_id)
        return row if row.status == status else None

    return eventually(look, what=f"job {job_id} to be {status}")


def until_reported(db: Db, job_id: UUID) -> Any:
    """Returns a running job's row once it has reported progress."""

    def look() -> Any:
        row = job(db, job_id)
        return row if row.status == "running" and row.progress else None

    return eventually(look, what=f"job {job_id} to report progress")


def test_a_shell_a_node_and_a_python_worker_share_a_queue_and_do_every_job_once(
    db: Db, start: Start, node: list[str], tmp_path: Path
) -> None:
    files = sorted(PACKAGE.joinpath("rowqueue").rglob("*.py"))
    expected: dict[UUID, dict[str, Any]] = {}

    def add_jobs() -> None:
        rows = enqueue_many(
            db,
            *(
                {"job_type": "digest", "payload": {"path": str(file)}, "queue": "files"}
                for file in files
            ),
        )
        expected.update({row.id: digest_of(file) for row, file in zip(rows, files, strict=True)})

    add_jobs()
    workers = {
        "shell": start("./worker.sh", "files", "./digest.sh"),
        "node": start(*node, "files"),
        "python": start(sys.executable, "-m", "rowqueue", "worker", "five_lines:worker"),
    }

    def shares() -> Counter[str]:
        done = "select worker from rowqueue.jobs where status = 'completed'"
        names = {worker.name: language for language, worker in workers.items()}
        return Counter(names[":".join(row.worker.split(":")[:2])] for row in db.execute(done))

    def everyone_has_a_share() -> bool:
        pending = "select count(*) from rowqueue.jobs where status = 'pending'"
        if db.execute(pending).fetchone() < (len(files),):
            add_jobs()
        return all(shares()[language] >= 5 for language in workers)

    eventually(everyone_has_a_share, within=60)
    eventually(lambda: shares().total() == len(expected), within=120)

    assert {language: worker.stop() for language, worker in workers.items()} == {
        "shell": 0,
        "node": 0,
        "python": 0,
    }
    rows = {row.id: row for row in db.execute("select * from rowqueue.jobs")}
    assert {job_id: row.result for job_id, row in rows.items()} == expected
    assert {row.attempts for row in rows.values()} == {1}
    for language in ("shell", "node"):
        said = Counter(
            UUID(line.split()[0])
            for line in workers[language].printed().splitlines()
            if line.endswith(" digest completed")
        )
        mine = {job_id for job_id, row in rows.items() if row.worker == workers[language].name}
        assert said == Counter(mine)


def test_a_worker_ends_a_burst_when_nothing_is_due(
    db: Db, start: Start, digester: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "file with a space"
    file.write_bytes(b"content")
    job_id = enqueue_digest(db, file)
    later = enqueue_digest(db, file, run_after=datetime.now(UTC) + timedelta(days=1))
    program = 1 if digester[0].endswith(".sh") else 2

    worker = start(*digester[:program], "--burst", *digester[program:])

    assert worker.end() == 0
    assert job(db, job_id).result == digest_of(file)
    assert job(db, later).status == "pending"


def test_a_job_that_fails_tells_why_and_is_tried_again(
    db: Db, start: Start, digester: list[str]
) -> None:
    job_id = enqueue_digest(db, "/nowhere/it's gone", max_attempts=2)

    worker = start(*digester)
    row = until(db, job_id, "failed")

    assert "no such file" in row.error.lower()
    assert row.attempts == 2
    assert worker.stop() == 0


def test_a_long_job_keeps_its_lease_and_says_how_far_it_is(
    db: Db, start: Start, digester: list[str]
) -> None:
    job_id = enqueue_digest(db, ENDLESS)
    worker = start(*digester)

    begun = until_reported(db, job_id)
    eventually(lambda: job(db, job_id).lease_until > begun.lease_until)

    assert begun.progress["message"] == f"reading {ENDLESS}"
    assert worker.stop() == 0


def test_sigterm_gives_a_job_back_with_its_attempt(
    db: Db, start: Start, digester: list[str], environment: dict[str, str]
) -> None:
    job_id = enqueue_digest(db, ENDLESS)
    worker = start(*digester)
    until_reported(db, job_id)

    assert worker.stop() == 0

    row = job(db, job_id)
    assert (row.status, row.attempts) == ("pending", 0)
    assert f"{job_id} digest released" in worker.printed()
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_a_cancelled_job_is_stopped_by_its_worker(
    db: Db, start: Start, digester: list[str]
) -> None:
    job_id = enqueue_digest(db, ENDLESS)
    worker = start(*digester)
    until_reported(db, job_id)

    assert value(db, "cancel", job_id=job_id, reason="not needed") == "running"

    row = until(db, job_id, "cancelled")
    assert row.error == "not needed"
    eventually(lambda: f"{job_id} digest cancelled" in worker.printed())
    assert worker.stop() == 0


def test_a_worker_stops_a_job_that_it_no_longer_holds(
    db: Db, start: Start, digester: list[str]
) -> None:
    lost = enqueue_digest(db, ENDLESS)
    worker = start(*digester)
    until_reported(db, lost)
    # What the seed tells a DBA to do about a stuck job, to which the worker's token is then dead.
    db.execute(
        "update rowqueue.jobs set status = 'pending', started_at = null,"
        " run_after = now() + interval '1 day' where id = %s",
        [lost],
    )
    after = enqueue_digest(db, Path(__file__))

    until(db, after, "completed")

    assert job(db, lost).status == "pending"
    assert worker.stop() == 0


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            r"""printf 'it'"'"'s :token; \\q "$x" \377\n' >&2; exit 7""",
            r"""it's :token; \q "$x" """,
        ),
        ("exit 7", "exit code 7"),
        ("echo '{not json'", "invalid input syntax for type json"),
    ],
    ids=["any text", "no text", "no json"],
)
def test_the_shell_worker_reports_whatever_goes_wrong_with_its_command(
    db: Db, start: Start, script: str, error: str
) -> None:
    job_id = enqueue(db, "any", queue="q", max_attempts=1)

    assert start("./worker.sh", "--burst", "q", "sh", "-c", script).end() == 0

    row = job(db, job_id)
    assert row.status == "failed"
    assert error.strip() in row.error


def test_the_shell_worker_passes_long_payloads_and_results_unharmed(db: Db, start: Start) -> None:
    payload = {"text": 'it\'s "quoted" :token \\ \t ü \n' + "x" * 300_000}
    job_id = enqueue(db, "echo", queue="q", payload=payload)

    assert start("./worker.sh", "--burst", "q", "cat").end() == 0

    assert job(db, job_id).result == payload


def test_the_shell_worker_leaves_nothing_running_of_a_job_that_it_stops(
    db: Db, start: Start, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    script = f"sh -c 'echo $$ >> {pids}; exec sleep 600' | (echo 1 2 here >&3; cat)"
    job_id = enqueue(db, "any", queue="q")
    worker = start("./worker.sh", "q", "sh", "-c", script)
    until_reported(db, job_id)
    pid = int(eventually(lambda: pids.exists() and pids.read_text()))

    assert worker.stop() == 0

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    eventually(gone, what="the job's processes to end")


@pytest.mark.parametrize("command", [["./worker.sh", "--burst", "q", "true"], None])
def test_a_worker_without_a_database_ends_its_burst_with_code_3(
    start: Start, environment: dict[str, str], request: pytest.FixtureRequest, command: list[str]
) -> None:
    environment["ROWQUEUE_DSN"] = "postgresql://127.0.0.1:1/nowhere"

    worker = start(*(command or [*request.getfixturevalue("node"), "--burst"]))

    assert worker.end() == 3
    assert "ECONNREFUSED" in worker.printed() or "Connection refused" in worker.printed()
