"""A healthy database has no finding, is asked quickly, and each finding has a test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.rows import namedtuple_row

from servers.node import own_node
from support.calls import Session, claim, enqueue_many, rows, value

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def safe() -> Iterator[Session]:
    """A session on a server with its settings as they come: that of the tests is not safe."""
    with own_node() as node, node.connect(row_factory=namedtuple_row) as session:
        yield session


def test_a_new_database_has_no_finding(safe: Session) -> None:
    assert rows(safe, "doctor") == []


def test_a_database_at_work_has_no_finding(safe: Session) -> None:
    for round_ in range(3):
        enqueue_many(safe, *({"priority": n % 3, "queue": f"q{n % 2}"} for n in range(50)))
        value(safe, "tick")
        held = claim(safe, 20, queues=["q0", "q1"])
        assert len(held) == 20
        given = {"job_ids": [row.id for row in held], "tokens": [row.token for row in held]}
        if round_ < 2:
            rows(safe, "complete_many", **given)
        value(safe, "tick")
    assert rows(safe, "doctor") == []


def test_a_server_that_does_not_wait_for_its_disk_is_told_and_mended(safe: Session) -> None:
    safe.execute("alter system set fsync = off")
    safe.execute("select pg_reload_conf()")

    def names() -> list[str]:
        return [row.name for row in rows(safe, "doctor")]

    while names() != ["fsync_off"]:
        safe.execute("select pg_sleep(0.01)")
    [finding] = rows(safe, "doctor")
    for statement in finding.remedy.split("; "):
        safe.execute(statement)
    while names():
        safe.execute("select pg_sleep(0.01)")


def test_asking_writes_nothing_and_takes_no_transaction_id(db: Session) -> None:
    with db.transaction():
        db.execute("set transaction read only")
        rows(db, "doctor")
        row = db.execute("select pg_current_xact_id_if_assigned() as id").fetchone()
        assert row is not None
        assert row.id is None


def test_errors_come_first_and_each_says_what_why_and_what_to_do(db: Session) -> None:
    db.execute("insert into rowqueue.grants values ('usage on schema rowqueue', 'rowqueue_nobody')")
    db.execute("create index mine on rowqueue.jobs_live (status)")
    db.execute("drop index rowqueue.jobs_live_delayed_idx")
    found = rows(db, "doctor")
    severities = [row.severity for row in found]
    assert set(severities) == {"error", "warning", "notice"}
    assert severities == sorted(severities, key=["error", "warning", "notice"].index)
    assert all(row.what and row.why and row.remedy for row in found)


def test_every_finding_has_a_test(db: Session) -> None:
    tests = [*TESTS.glob("test_*.py"), *TESTS.parent.glob("identity/test_*.py")]
    text = "".join(file.read_text() for file in tests)
    calls = re.findall(r'(?:one|found|healed)\(\w+, "(\w+)"|"(\w+_off)", "\w+"\)', text)
    tried = {name for names in calls for name in names}
    known = {row.name for row in db.execute("select name from rowqueue.finding_kinds")}
    assert known - tried == set()


def test_a_finding_of_which_nothing_is_known_is_told_all_the_same(db: Session) -> None:
    """A restore of the schema without its rows leaves the list of kinds empty."""
    db.execute("delete from rowqueue.finding_kinds")
    db.execute("drop index rowqueue.jobs_live_delayed_idx")
    assert ("error", "schema_missing") in {(row.severity, row.name) for row in rows(db, "doctor")}


@pytest.mark.parametrize("role", ["producer", "worker"])
def test_others_may_not_ask(db: Session, role: str) -> None:
    db.execute(f"set role rowqueue_{role}")
    with pytest.raises(Exception, match="permission denied for function doctor"):
        rows(db, "doctor")


@pytest.mark.parametrize("role", ["observer", "admin"])
def test_observers_and_admins_may_ask(db: Session, role: str) -> None:
    db.execute(f"set role rowqueue_{role}")
    assert {row.name for row in rows(db, "doctor")} <= {"fsync_off", "full_page_writes_off"}
