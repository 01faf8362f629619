"""``rowqueue bench``: what it prints, what it leaves, and what happens when it is cut off."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowqueue import Queue
from rowqueue.benchmark.check import check
from rowqueue.benchmark.drain import by_sql, by_worker
from rowqueue.benchmark.enqueue import enqueue_batches
from rowqueue.benchmark.leftovers import remove
from rowqueue.benchmark.names import QUEUE
from rowqueue.benchmark.pickup import pickups, sustainable_rate
from rowqueue.benchmark.place import Place
from rowqueue.pooler import Pooler, find_pooler
from support.command import invoke, process
from support.waiting import eventually

Db = psycopg.Connection[Any]
SHORT = ["bench", "--seconds", "1", "--jobs", "1000"]
FIGURES = [
    "round_trip", "commit", "enqueue", "enqueue_many", "drain", "drain_sql", "pickup",
]  # fmt: skip


@pytest.fixture
def place(dsn: str) -> Place:
    return Place(dsn, own=False, pooler=Pooler.NONE)


@pytest.fixture
def worker_dsn(dsn: str, db: Db) -> Iterator[str]:
    """The test's database for a user who may do what a worker may, and no more."""
    (name,) = db.execute("select current_database() || '_worker'").fetchone() or ("",)
    role = sql.Identifier(name)
    db.execute(sql.SQL("create role {} login password 'w'").format(role))
    db.execute(sql.SQL("grant rowqueue_worker to {}").format(role))
    yield make_conninfo(dsn, user=name, password="w")
    db.execute(sql.SQL("drop role {}").format(role))


def bench(dsn: str) -> dict[str, Any]:
    """Runs a short benchmark that must succeed, and returns what it printed."""
    result = invoke(*SHORT, "--json", "--dsn", dsn)
    assert (result.exit_code, result.stderr) == (0, "")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def jobs_in(db: Db, queue: str = QUEUE) -> int:
    (count,) = db.execute("select count(*) from rowqueue.jobs where queue = %s", [queue]).fetchone()
    return int(count)


def finding(report: dict[str, Any], name: str) -> dict[str, str]:
    (found,) = (one for one in report["findings"] if one["name"] == name)
    return dict(found)


def test_programs_get_figures_versions_settings_and_findings(dsn: str) -> None:
    report = bench(dsn)

    assert list(report["figures"]) == FIGURES
    for name in FIGURES[:-1]:
        figure = report["figures"][name]
        assert 0 < figure["min"] <= figure["median"] <= figure["max"]
    pickup = report["figures"]["pickup"]
    assert 0 < pickup["p50"] <= pickup["p95"] <= pickup["p99"] <= pickup["max"]
    assert report["jobs"]["completed"] > 2 * report["jobs"]["a_drain"] == 2000
    assert (report["jobs"]["lost"], report["jobs"]["repeated"]) == (0, 0)
    assert set(report["versions"]) == {"postgresql", "schema", "rowqueue", "psycopg", "python"}
    assert report["settings"]["synchronous_commit"] == "on"
    assert {one["level"] for one in report["findings"]} <= {"ok", "warn", "bad"}
    assert report["left"] is None


def test_nothing_is_left_and_no_other_queue_is_touched(dsn: str, db: Db) -> None:
    queue = Queue(db)
    mine = queue.enqueue("sync")

    bench(dsn)

    job = queue.get_job(mine)
    assert job is not None
    assert (job.status, job.attempts) == ("pending", 0)
    assert jobs_in(db) == 0
    assert {lane.queue for lane in db.execute("select queue from rowqueue.lanes")} == {"default"}


def test_a_workers_rights_suffice_and_what_stays_is_told(dsn: str, worker_dsn: str, db: Db) -> None:
    report = bench(worker_dsn)

    completed = report["jobs"]["completed"]
    assert report["left"] == (
        f"{completed:,} completed jobs stay in queue {QUEUE}, for this user may not delete;"
        " purge_finished() removes them after 30 days."
    )
    statuses = db.execute("select distinct status from rowqueue.jobs").fetchall()
    assert [row.status for row in statuses] == ["completed"]
    assert finding(report, "doctor")["level"] == "ok"

    bench(dsn)
    assert jobs_in(db) == 0


def test_lines_tell_the_same_where_there_is_no_terminal(dsn: str) -> None:
    result = invoke(*SHORT, "--dsn", dsn)

    assert (result.exit_code, result.stderr) == (0, "")
    for line in (
        r"PostgreSQL \d+.*, schema \d{4}, database \w+ on \S+.*",
        r" +\d+\.\d s  measuring drain, one Python worker",
        r"  round trip  select 1 +\d+\.?\d* ms  \d.* to \d.*",
        r"  drain       SQL alone, 2 sessions +\d[\d,]* /s  \d.* to \d.*",
        r"  pickup      \d+ jobs a second +\d.* ms  p95 \d.*, p99 \d.*",
        r"  jobs  \d[\d,]* completed \(1,000 a drain\), none lost, none run twice\.",
        r"  ok    .*synchronous_commit = on.*",
    ):
        assert re.search(f"^{line}$", result.stdout, re.MULTILINE), line
    assert all(line == line.rstrip() for line in result.stdout.splitlines())


def test_a_terminal_shows_a_table_that_fills(dsn: str) -> None:
    terminal, its_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
    command = [sys.executable, "-m", "rowqueue", *SHORT, "--dsn", dsn]
    with subprocess.Popen(command, env=environment, stdout=its_end) as child:
        os.close(its_end)
        printed = b"".join(iter(lambda: _read(terminal), b"")).decode()
        os.close(terminal)
        assert child.wait() == 0

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)
    assert "━━" in plain
    too_long = [line for line in re.split(r"[\r\n]+", plain) if len(line) > 80]
    assert all(re.match(r" {8}\w.*;", line) for line in too_long)  # remedies, to be copied
    assert re.search(r"drain +one Python worker +\d[\d,]* /s", plain)
    assert "none lost, none run twice." in plain


def _read(terminal: int) -> bytes:
    with suppress(OSError):  # what Linux says once nobody holds the other end any more
        return os.read(terminal, 65536)
    return b""


@contextmanager
def long_run(dsn: str, db: Db) -> Iterator[subprocess.Popen[str]]:
    """A run that is in the middle of it."""
    with process("bench", "--seconds", "600", dsn=dsn) as child:
        eventually(lambda: jobs_in(db) > 100, what="the run to be under way")
        yield child


def test_an_interrupt_clears_up(dsn: str, db: Db) -> None:
    with long_run(dsn, db) as child:
        child.send_signal(signal.SIGINT)
        _, complaint = child.communicate(timeout=60)

    assert (child.returncode, complaint.strip()) == (130, "")
    assert jobs_in(db) == 0


def test_what_a_killed_run_leaves_is_removed_by_the_next(dsn: str, db: Db) -> None:
    with long_run(dsn, db) as child:
        child.kill()
        child.wait()
        assert jobs_in(db) > 100
    db.execute("select rowqueue.claim_next('a worker', %s, 10)", [[QUEUE]])

    eventually(lambda: invoke(*SHORT, "--dsn", dsn).exit_code == 0, what="the lock to be free")

    assert jobs_in(db) == 0


def test_without_a_right_to_delete_waiting_jobs_are_worked_off(
    place: Place, worker_dsn: str, db: Db
) -> None:
    enqueue_batches(db, [], count=2000, within=60)

    with psycopg.connect(worker_dsn, autocommit=True) as session:
        assert remove(session) == ""

    left = db.execute("select status, count(*) from rowqueue.jobs group by 1").fetchall()
    assert [tuple(row) for row in left] == [("completed", 2000)]


def test_what_cannot_be_removed_is_told_and_costs_no_figures(dsn: str, db: Db) -> None:
    db.execute("""
        create function public.refuse() returns trigger language plpgsql as $$
        begin
            raise exception 'nobody deletes here';
        end $$;
        create trigger refuse before delete on rowqueue.jobs_finished
        for each row execute function public.refuse();
    """)

    result = invoke(*SHORT, "--dsn", dsn)

    assert (result.exit_code, result.stderr) == (0, "")
    assert "left  Not all could be removed (nobody deletes here" in result.stdout
    assert "none lost" in result.stdout


def test_two_runs_do_not_share_a_database(db: Db, dsn: str) -> None:
    db.execute("select pg_advisory_lock(hashtext('rowqueue bench'))")

    result = invoke(*SHORT, "--dsn", dsn)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "rowqueue: another benchmark runs in this database\n"


def test_a_database_without_the_schema_is_told_what_to_do(empty_dsn: str) -> None:
    result = invoke(*SHORT, "--dsn", empty_dsn)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.endswith("rowqueue migrate\n")


def test_a_user_without_rights_is_told_at_once(db: Db, worker_dsn: str) -> None:
    db.execute("revoke execute on function rowqueue.complete_many from rowqueue_worker")

    result = invoke(*SHORT, "--dsn", worker_dsn)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "rowqueue: permission denied for function complete_many\n"


def test_a_server_of_its_own_is_made_where_none_is_given() -> None:
    result = invoke(*SHORT, "--json")

    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["own_server"] is True
    assert report["settings"]["fsync"] == "on"
    assert finding(report, "tick")["level"] == "ok"


def test_a_lost_job_fails_the_run(dsn: str, db: Db) -> None:
    db.execute("""
        create sequence public.finished;
        create function public.lose_one() returns trigger language plpgsql as $$
        begin
            return case when nextval('public.finished') <> 777 then new end;
        end $$;
        create trigger lose_one before insert on rowqueue.jobs_finished
        for each row execute function public.lose_one();
    """)

    result = invoke(*SHORT, "--dsn", dsn)

    assert result.exit_code == 1
    assert re.search(r"jobs  .* completed, 1 lost, 0 run once too often", result.stdout)
    assert "please report it" in result.stdout
    assert result.stderr == "rowqueue: 1 jobs lost, 0 run once too often\n"


def test_a_job_is_lost_unless_it_is_completed_or_waits_untouched(db: Db) -> None:
    queue = Queue(db)
    first, second, third, fourth = [queue.enqueue("noop", queue=QUEUE) for _ in range(4)]
    jobs = {job.id: job for job in queue.claim_next("w", queues=[QUEUE], max_jobs=3)}
    queue.complete(first, token=jobs[first].token)
    queue.release(third, token=jobs[third].token)

    found = check(db, [first, second, third, fourth], [first, first, third])

    assert (found.completed, found.lost, found.repeated) == (1, 2, 1)
    assert found.waiting == [fourth]


async def test_both_drains_empty_the_queue_and_time_it(place: Place, db: Db) -> None:
    for drain in (
        by_worker(place, 1000, within=60, progress=lambda _: None),
        by_sql(place, within=60, progress=lambda _: None),
    ):
        jobs: list[Any] = []
        enqueue_batches(db, jobs, count=1000, within=60)
        drained = await drain
        assert drained.seconds > 0
        assert check(db, jobs, drained.handled).completed == 1000


async def test_a_drain_ends_when_its_time_is_up_and_loses_nothing(place: Place, db: Db) -> None:
    for drain in (
        by_worker(place, 1000, within=0, progress=lambda _: None),
        by_sql(place, within=0, progress=lambda _: None),
    ):
        jobs: list[Any] = []
        enqueue_batches(db, jobs, count=1000, within=60)
        drained = await drain
        found = check(db, jobs, drained.handled)
        assert (found.lost, found.repeated) == (0, 0)
        assert found.completed + len(found.waiting) == 1000


async def test_each_job_of_a_trickle_is_timed_once(place: Place, db: Db) -> None:
    jobs: list[Any] = []
    waits, handled = await pickups(place, jobs, rate=50, seconds=1, progress=lambda _: None)

    assert len(waits) == 50
    assert all(wait > 0 for wait in waits)
    assert check(db, jobs, handled).completed == len(jobs) == 54


def test_a_slow_database_gets_a_slower_trickle() -> None:
    assert sustainable_rate(0.001) == 100
    assert sustainable_rate(0.1) == 20
    assert sustainable_rate(10) == 5


def test_a_direct_connection_is_known_as_one(dsn: str) -> None:
    assert find_pooler(dsn) is Pooler.NONE
