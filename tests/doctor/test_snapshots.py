"""Who keeps dead rows from being cleared away is named, with what is to be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from doctor.findings import found, heal, healed, one, present_clock
from rowqueue import schema
from servers.pair import Pair, own_pair
from support.calls import Session
from support.sessions import Session as Waiting
from support.waiting import eventually, until_blocked

Connect = Callable[..., Session]


def test_a_session_that_is_idle_in_a_transaction_is_told(db: Session, connect: Connect) -> None:
    clock = present_clock(db)
    report = connect(application_name="a report")
    report.execute("begin isolation level repeatable read")
    report.execute("select 'so much'  as work")
    clock.advance(minutes=4)
    assert not found(db, "transaction_idle")
    clock.advance(minutes=2, seconds=2)
    finding = one(db, "transaction_idle")
    assert finding.severity == "warning"
    who = (
        f"process {report.info.backend_pid} (user {report.info.user}, application a report, idle in"
    )
    assert finding.what.startswith(f"the oldest: {who} transaction) for 00:06:0")
    assert finding.what.endswith(": select 'so much' as work")
    heal(db, finding)
    with pytest.raises(psycopg.OperationalError):
        report.execute("select")
    eventually(lambda: not found(db, "transaction_idle"), what="the session to be gone")


def test_the_oldest_of_several_is_called_so(db: Session, connect: Connect) -> None:
    clock = present_clock(db)
    first, second = connect(application_name="first"), connect(application_name="second")
    for session in (first, second):
        session.execute("begin")
        session.execute("select pg_current_xact_id()")
    clock.advance(minutes=6)
    oldest, other = found(db, "transaction_idle")
    assert oldest.what.startswith("the oldest: ")
    assert "application first, idle in transaction, has written" in oldest.what
    assert other.what.startswith("process ")


def test_a_transaction_that_is_at_work_for_long_is_told(db: Session, connect: Connect) -> None:
    clock = present_clock(db)
    db.execute("select pg_advisory_lock(1)")
    busy = Waiting(connect(), db)
    try:
        busy.start("select pg_advisory_lock(1)")
        until_blocked(db, busy.pid)
        clock.advance(minutes=14)
        assert not found(db, "transaction_old")
        clock.advance(minutes=2, seconds=2)
        finding = one(db, "transaction_old")
        assert finding.severity == "warning"
        assert f"process {busy.pid} " in finding.what
        assert ", active) for 00:16:0" in finding.what
    finally:
        busy.close()


def use_transactions(session: Session, count: int = 100_000) -> None:
    """Uses so many transaction ids."""
    session.execute("set synchronous_commit = off")
    one = "perform pg_current_xact_id(); commit;"
    session.execute(f"do $$ begin for n in 1..{count} loop {one} end loop; end $$")


@pytest.fixture
def owned(db: Session, empty_dsn: str) -> Iterator[tuple[Session, str]]:
    """A session of the owner of a queue, who is no superuser, and the name of that role."""
    name = f"{db.info.dbname}_owner"
    with psycopg.connect(empty_dsn, autocommit=True, row_factory=namedtuple_row) as session:
        session.execute(
            f"create role {name}; grant all on database {session.info.dbname} to {name}"
        )
        session.execute(f"grant rowqueue_admin to {name}; set session authorization {name}")
        session.execute(schema.render().encode())
        yield session, name
        session.execute("reset session authorization")
        session.execute(f"drop owned by {name} cascade; drop role {name}")


def test_a_session_of_which_only_the_snapshot_can_be_seen_is_told(
    owned: tuple[Session, str], empty_dsn: str
) -> None:
    """Whose it is and how old, in transactions, is shown to everyone; since when, is not."""
    owner, name = owned
    with psycopg.connect(empty_dsn, application_name="a report") as report:
        report.execute("set transaction isolation level repeatable read")
        report.execute("select 'a secret'")
        assert not found(owner, "transaction_hidden")
        use_transactions(owner)
        finding = one(owner, "transaction_hidden")
        assert finding.severity == "warning"
        assert f"process {report.info.backend_pid} (user " in finding.what
        assert "application a report), 10000" in finding.what
        assert "secret" not in finding.what
        assert finding.remedy == f"grant pg_read_all_stats to {name}; -- then ask again"
        owner.execute("reset session authorization")
        heal(owner, finding)
        owner.execute(f"set session authorization {name}")
        assert not found(owner, "transaction_hidden")


def test_a_prepared_transaction_is_told(db: Session) -> None:
    clock = present_clock(db)
    db.execute("begin; create table never(); prepare transaction 'two''phase'")
    assert not found(db, "transaction_prepared")
    clock.advance(minutes=6)
    finding = one(db, "transaction_prepared")
    assert finding.severity == "error"
    assert "'two''phase' of " in finding.what
    assert healed(db, "transaction_prepared")


def test_a_slot_that_nobody_reads_is_told(db: Session) -> None:
    name = f"{db.info.dbname}_slot"
    db.execute("select pg_create_physical_replication_slot(%s, true)", [name])
    [finding] = [each for each in found(db, "slot_inactive") if name in each.what]
    assert finding.severity == "warning"
    heal(db, finding)
    assert not [each for each in found(db, "slot_inactive") if name in each.what]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with own_pair(synchronous=False) as pair:
        yield pair


@pytest.mark.parametrize("slot", ["", "follower"])
def test_a_snapshot_on_a_replica_is_told(pair: Pair, slot: str) -> None:
    """With a replication slot, and without."""
    options: Any = {"row_factory": namedtuple_row}
    with pair.primary.connect(**options) as primary, pair.standby.connect(**options) as standby:
        if slot:
            primary.execute("select pg_create_physical_replication_slot(%s)", [slot])
        standby.execute("alter system set hot_standby_feedback = on")
        standby.execute(f"alter system set primary_slot_name = '{slot}'")
        standby.execute("select pg_reload_conf()")
        pair.until_in_step()
        standby.execute("begin isolation level repeatable read")
        standby.execute("select count(*) from rowqueue.jobs")

        def held() -> bool:
            use_transactions(primary)
            return bool(found(primary, "replica_snapshot"))

        eventually(held, within=60, what="the primary to hear of the snapshot")
        finding = one(primary, "replica_snapshot")
        assert finding.severity == "warning"
        assert ("replication slot follower" if slot else "application walreceiver") in finding.what
        standby.execute("rollback")
        eventually(
            lambda: not found(primary, "replica_snapshot"),
            within=60,
            what="the primary to hear that it is gone",
        )


def test_what_began_a_moment_ago_is_no_finding(db: Session, connect: Connect) -> None:
    clock = present_clock(db)
    connect(autocommit=False).execute("select")
    clock.advance(timedelta(minutes=1))
    assert not found(db, "transaction_idle")
