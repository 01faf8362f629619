"""``rowqueue doctor``: what the database finds, and what only a client can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from doctor.findings import present_clock
from rowqueue import doctor
from rowqueue.jobs import Finding
from rowqueue.pooler import Pooler
from rowqueue.schema import newest_schema
from servers.node import own_node
from support.calls import Session, enqueue
from support.command import invoke
from support.pooler import own_pooler, pgbouncer


@pytest.fixture(scope="module")
def safe_dsn() -> Iterator[str]:
    """A database on a server with its settings as they come."""
    with own_node() as node:
        yield node.url


def test_a_healthy_database_is_told_to_be_so(safe_dsn: str) -> None:
    told = invoke("doctor", "--dsn", safe_dsn)
    assert (told.exit_code, told.stdout, told.stderr) == (0, "nothing found\n", "")
    told = invoke("doctor", "--dsn", safe_dsn, "--json")
    assert json.loads(told.stdout) == {"ok": True, "findings": []}


def test_an_error_is_told_with_why_and_what_to_do_and_in_the_exit_code(
    db: Session, dsn: str
) -> None:
    clock = present_clock(db)
    enqueue(db, queue="mail")
    clock.advance(minutes=6)
    told = invoke("doctor", "--dsn", dsn)
    assert told.exit_code == 1
    line = told.stdout.splitlines().index(
        "error    queue_unserved: queue mail has had a due job for 00:06:00,"
        " and none of its jobs runs"
    )
    why, remedy = told.stdout.splitlines()[line + 1 : line + 3]
    assert why.strip().startswith("No worker serves the queue")
    assert remedy.strip().startswith("-- Start a worker for it")
    assert "something is wrong: " in told.stderr
    assert "queue_unserved" in told.stderr

    found = json.loads(invoke("doctor", "--dsn", dsn, "--json").stdout)
    assert found["ok"] is False
    [finding] = [each for each in found["findings"] if each["name"] == "queue_unserved"]
    assert finding["severity"] == "error"
    assert finding.keys() == {"severity", "name", "what", "why", "remedy"}


def test_a_warning_does_not_change_the_exit_code(safe_dsn: str) -> None:
    with own_node() as node:
        with node.connect() as session:
            session.execute("create index mine on rowqueue.jobs_live (status)")
        told = invoke("doctor", "--dsn", node.url)
    assert told.exit_code == 0
    assert told.stdout.startswith("warning  schema_extra: ")


def test_without_a_schema_it_says_so(empty_dsn: str) -> None:
    told = invoke("doctor", "--dsn", empty_dsn)
    assert told.exit_code == 1
    assert "rowqueue migrate" in told.stderr


def named(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.name, finding.what) for finding in findings]


def test_a_schema_of_another_version_is_told() -> None:
    assert named(doctor.schema_age("0002", "0003")) == [
        ("schema_old", "the schema has version 0002, this package brings 0003")
    ]
    assert named(doctor.schema_age("0004", "0003")) == [
        ("package_old", "the schema has version 0004, this package knows 0003")
    ]
    assert named(doctor.schema_age(newest_schema(), newest_schema())) == []


@pytest.mark.parametrize(
    ("apart", "what"),
    [
        (timedelta(seconds=4), None),
        (timedelta(seconds=-4), None),
        (timedelta(hours=1), "the clock of this host is 3600 seconds behind the database's"),
        (timedelta(hours=-1), "the clock of this host is 3600 seconds ahead of the database's"),
    ],
)
def test_clocks_that_differ_are_told(apart: timedelta, what: str | None) -> None:
    here = datetime(2026, 1, 1, tzinfo=UTC)
    found = named(doctor.clock_difference(lambda: here + apart, lambda: here))
    assert found == ([("clock_difference", what)] if what else [])


def test_an_answer_that_was_long_on_its_way_says_nothing_about_clocks() -> None:
    here = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([here, here + timedelta(minutes=1)])
    there = here + timedelta(seconds=30)
    assert named(doctor.clock_difference(lambda: there, lambda: next(times))) == []


@pytest.mark.skipif(pgbouncer() is None, reason="PgBouncer is not installed")
def test_a_transaction_pooler_is_told(safe_dsn: str) -> None:
    with own_pooler(safe_dsn) as between:
        told = json.loads(invoke("doctor", "--dsn", between.through(safe_dsn), "--json").stdout)
    assert [finding["name"] for finding in told["findings"]] == ["pooler"]


def test_a_pooler_that_keeps_sessions_is_none_to_speak_of() -> None:
    assert named(doctor.pooler(Pooler.SESSION)) == []
    assert named(doctor.pooler(Pooler.NONE)) == []
