"""The findings of ``rowqueue bench``, each by itself.

Where a session or a table can be put into the state, the server is asked; where only a whole server
can, the facts are made by hand from those of a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowqueue.benchmark.facts import Counters, Facts, Holder, Look, Setting
from rowqueue.benchmark.findings import (
    JUDGES,
    Finding,
    Level,
    checkpoints,
    connections,
    database,
    durability,
    horizon,
    judge,
    queue,
)
from rowqueue.benchmark.findings.finding import Judge
from rowqueue.benchmark.look import look
from rowqueue.benchmark.place import Place
from rowqueue.jobs import Finding as DoctorFinding
from rowqueue.pooler import Pooler
from rowqueue.schema import newest_schema

Db = psycopg.Connection[Any]
Connect = Callable[..., Db]
Words = Callable[..., Finding]

OK, WARN, BAD = Level.OK, Level.WARN, Level.BAD
FSYNC_OFF = DoctorFinding("error", "fsync_off", "fsync = off", "Not safe.", "alter system …")
MIB = 1 << 20


def facts(before: Look, after: Look | None = None, **changes: Any) -> Facts:
    """What a run of 20 seconds came to know on a quick server."""
    return replace(
        Facts(
            place=Place("", own=False, pooler=Pooler.NONE),
            before=before,
            after=after or before,
            seconds=20,
            round_trip=0.1,
            commit=0.5,
            newest_schema=newest_schema(),
        ),
        **changes,
    )


def with_setting(seen: Look, name: str, text: str, number: float = 0) -> Look:
    """The same with another setting."""
    return replace(seen, settings={**seen.settings, name: Setting(text, number)})


def only(judge: Judge, facts: Facts) -> Finding:
    """Returns the one finding."""
    (finding,) = judge(facts)
    return finding


@pytest.fixture
def seen(db: Db) -> Look:
    return look(db)


@pytest.fixture
def observer(db: Db, connect: Connect) -> Iterator[Db]:
    """A session of a user who may do what a worker may, and no more."""
    (name,) = db.execute("select current_database() || '_watcher'").fetchone() or ("",)
    role = sql.Identifier(name)
    db.execute(sql.SQL("create role {} login").format(role))
    db.execute(sql.SQL("grant rowqueue_worker to {}").format(role))
    session = connect()
    session.execute(sql.SQL("set session authorization {}").format(role))
    yield session
    session.close()
    db.execute(sql.SQL("drop role {}").format(role))


def test_each_thing_that_is_looked_at_is_named_once(seen: Look) -> None:
    names = [judge.__name__ for judge in JUDGES]
    assert len(set(names)) == len(names)
    for judge_one in JUDGES:
        found = list(judge_one(facts(seen)))
        assert found, f"{judge_one.__name__} says nothing"
        assert len({finding.name for finding in found}) == 1


def test_the_worst_comes_first_and_what_hurts_says_why(seen: Look) -> None:
    bad = with_setting(replace(seen, doctor=[FSYNC_OFF]), "max_wal_size", "64MB", 64 * MIB)
    findings = judge(facts(bad, commit=100))
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, key=[BAD, WARN, OK].index)
    assert set(levels) == {BAD, WARN, OK}
    for finding in findings:
        assert finding.seen
        assert bool(finding.why) == (finding.level is not OK)


@pytest.mark.parametrize(
    ("value", "standby", "level"),
    [
        ("on", "", OK),
        ("on", "replica", OK),
        ("remote_write", "replica", OK),
        ("remote_apply", "", OK),
        ("remote_apply", "replica", WARN),
    ],
)
def test_a_commit_waits_for_what_it_must(db: Db, value: str, standby: str, level: Level) -> None:
    db.execute("select set_config('synchronous_commit', %s, false)", [value])
    there = with_setting(look(db), "synchronous_standby_names", standby)
    finding = only(durability.synchronous_commit, facts(there))
    assert (finding.level, finding.seen) == (level, f"synchronous_commit = {value}")


def grown(seen: Look, **counters: int) -> Look:
    """The same, later."""
    zero = Counters(forced_checkpoints=0, timed_checkpoints=0, wal_bytes=0, page_images=0)
    return replace(seen, counters=replace(zero, **counters))


@pytest.mark.parametrize(
    ("megabytes", "forced", "level"),
    [(1024, 0, OK), (8192, 0, OK), (64, 0, WARN), (8192, 1, WARN), (1024, 3, BAD)],
)
def test_the_log_has_room(seen: Look, megabytes: int, forced: int, level: Level) -> None:
    there = with_setting(seen, "max_wal_size", f"{megabytes}MB", megabytes * MIB)
    after = grown(there, forced_checkpoints=forced, wal_bytes=300 * MIB)
    finding = only(checkpoints.max_wal_size, facts(grown(there), after))
    assert finding.level is level
    assert ("300 MB of log" in finding.why) == (forced > 0)


def test_a_checkpoint_that_is_forced_is_counted(db: Db) -> None:
    before = look(db)
    db.execute("checkpoint")
    after = look(db)
    assert after.counters.forced_checkpoints > before.counters.forced_checkpoints


def test_what_is_written_to_the_log_is_counted(db: Db, seen: Look) -> None:
    db.execute("create table filled as select repeat('x', 1000) from generate_series(1, 1000)")
    db.execute("select pg_stat_force_next_flush()")
    assert look(db).counters.wal_bytes > seen.counters.wal_bytes


@pytest.mark.parametrize(
    ("compression", "images", "level"),
    [("off", 10_000, WARN), ("off", 1_000, OK), ("pglz", 10_000, OK)],
)
def test_whole_pages_are_compressed(
    seen: Look, compression: str, images: int, level: Level
) -> None:
    there = with_setting(seen, "wal_compression", compression)
    after = grown(there, wal_bytes=100 * MIB, page_images=images)
    assert only(checkpoints.wal_compression, facts(grown(there), after)).level is level


def test_the_server_has_some_memory(seen: Look) -> None:
    for text, bytes_, level in [("128MB", 128 * MIB, OK), ("16MB", 16 * MIB, WARN)]:
        there = with_setting(seen, "shared_buffers", text, bytes_)
        assert only(checkpoints.shared_buffers, facts(there)).level is level


def test_a_held_snapshot_is_told_with_who_holds_it(db: Db, connect: Connect) -> None:
    assert only(horizon.snapshots, facts(look(db))).level is OK
    report = connect(application_name="a report")
    report.execute("begin isolation level repeatable read")
    report.execute("select")
    before = look(db)

    finding = only(horizon.snapshots, facts(before, look(db)))

    pid = report.info.backend_pid
    assert finding.level is WARN
    assert finding.seen.startswith(f"pid {pid} (user {report.info.user}, application a report, ")
    assert "idle in transaction), for " in finding.seen
    assert "Claims go by floors and stay fast" in finding.why
    db.execute(finding.remedy)
    with pytest.raises(psycopg.OperationalError):
        report.execute("select")


def test_an_open_transaction_that_has_written_is_worse(db: Db, connect: Connect) -> None:
    writer = connect()
    writer.execute("begin")
    writer.execute("select pg_current_xact_id()")
    before = look(db)
    finding = only(horizon.snapshots, facts(before, look(db)))
    assert finding.level is BAD
    assert "It has written" in finding.why
    assert only(horizon.snapshots, facts(before, look(db), seconds=1)).level is OK


def test_who_holds_a_snapshot_is_told_to_a_user_who_may_not_see_much(
    observer: Db, connect: Connect
) -> None:
    report = connect(application_name="a report")
    report.execute("begin isolation level repeatable read")
    report.execute("select")

    finding = only(horizon.snapshots, facts(look(observer), look(observer)))

    pid, user = report.info.backend_pid, report.info.user
    assert finding.seen == f"pid {pid} (user {user}, application a report), for at least 20 seconds"


@pytest.mark.parametrize(
    ("age", "level", "words"),
    [
        (timedelta(seconds=31), WARN, "31 seconds"),
        (timedelta(minutes=9), WARN, "9 minutes"),
        (timedelta(hours=3), BAD, "3 hours"),
        (timedelta(days=3), BAD, "3 days"),
    ],
)
def test_the_older_the_worse(seen: Look, age: timedelta, level: Level, words: str) -> None:
    holder = Holder(7, "u", "", here=True, state="active", held_for=age, xid=None, xmin="1")
    finding = only(horizon.snapshots, facts(replace(seen, holders=[holder])))
    assert (finding.level, finding.seen) == (level, f"pid 7 (user u, active), for {words}")


def test_a_transaction_in_another_database_counts_once_it_has_written(seen: Look) -> None:
    age = timedelta(minutes=1)
    reader = Holder(7, "u", "", here=False, state=None, held_for=age, xid=None, xmin="1")
    for holder, level in [(reader, OK), (replace(reader, xid="1"), WARN)]:
        there = facts(replace(seen, holders=[holder]))
        assert only(horizon.transactions, there).level is level
        assert only(horizon.snapshots, there).level is OK


def test_what_a_stranger_calls_itself_cannot_steer_the_terminal(seen: Look) -> None:
    holder = Holder(7, "u", "\x1b[2J", here=True, state=None, held_for=None, xid=None, xmin="1")
    finding = only(horizon.snapshots, facts(replace(seen, holders=[holder])))
    assert "\x1b" not in finding.seen


def test_what_doctor_finds_is_told(db: Db) -> None:
    db.execute("create index mine on rowqueue.jobs_live (status)")
    finding = next(one for one in database.doctor(facts(look(db))) if "extra" in one.seen)
    assert (finding.level, finding.name) == (WARN, "doctor")
    assert finding.seen == "schema_extra: index rowqueue.mine was not installed"
    db.execute(finding.remedy)
    assert not [one for one in database.doctor(facts(look(db))) if "extra" in one.seen]


@pytest.mark.parametrize(("severity", "level"), [("error", BAD), ("warning", WARN), ("notice", OK)])
def test_what_doctor_finds_is_as_bad_as_it_says(seen: Look, severity: str, level: Level) -> None:
    found = replace(FSYNC_OFF, severity=severity)
    assert only(database.doctor, facts(replace(seen, doctor=[found]))).level is level


def test_what_the_horizon_tells_is_not_told_twice(seen: Look) -> None:
    found = replace(FSYNC_OFF, name="transaction_idle")
    finding = only(database.doctor, facts(replace(seen, doctor=[found])))
    assert (finding.level, finding.seen) == (OK, "doctor() finds nothing")


def test_an_old_schema_is_told(seen: Look) -> None:
    assert only(queue.schema, facts(seen)).level is OK
    finding = only(queue.schema, facts(seen, newest_schema="9999"))
    assert (finding.level, finding.remedy) == (WARN, "rowqueue migrate")


def test_notifications_that_are_off_are_told(db: Db) -> None:
    assert only(queue.notifications, facts(look(db))).level is OK
    db.execute("select rowqueue.set_notify(false)")
    finding = only(queue.notifications, facts(look(db)))
    assert finding.level is WARN
    db.execute(finding.remedy)
    assert only(queue.notifications, facts(look(db))).level is OK


def test_a_full_queue_of_notifications_is_told(seen: Look) -> None:
    assert only(queue.notifications, facts(replace(seen, notify_queue=0.6))).level is BAD


def test_somebody_calls_tick(db: Db, seen: Look) -> None:
    finding = only(queue.ticks, facts(seen))
    assert (finding.level, finding.seen[:27]) == (WARN, "tick() has never been calle")
    db.execute("select nextval('rowqueue.tickets'), pg_current_xact_id()")
    db.execute("select rowqueue.enqueue('sync')")
    db.execute("select rowqueue.tick()")
    assert only(queue.ticks, facts(look(db))).level is OK
    for ago, level in [(timedelta(minutes=1), OK), (timedelta(hours=3), WARN)]:
        assert only(queue.ticks, facts(replace(seen, ticked=ago))).level is level


def test_a_worker_that_is_connected_calls_tick(seen: Look, connect: Connect, db: Db) -> None:
    connect(application_name="rowqueue heartbeat host:1:abcd")
    assert only(queue.ticks, facts(look(db))).level is OK


def test_what_is_hidden_is_not_held_against_anyone(observer: Db) -> None:
    there = facts(look(observer))
    assert (there.after.ticked, there.after.doctor) == (None, None)
    assert only(queue.ticks, there).level is OK
    assert only(database.doctor, there).level is OK


@pytest.mark.parametrize(
    ("pooler", "level"), [(Pooler.NONE, OK), (Pooler.SESSION, OK), (Pooler.TRANSACTION, WARN)]
)
def test_a_transaction_pooler_is_told(seen: Look, pooler: Pooler, level: Level) -> None:
    place = Place("", own=False, pooler=pooler)
    assert only(connections.pooler, facts(seen, place=place)).level is level


def test_a_server_far_away_and_a_slow_disk_are_told_apart(seen: Look) -> None:
    far, slow = facts(seen, round_trip=20, commit=21), facts(seen, round_trip=0.1, commit=21)
    for there, network, disk in [(far, WARN, OK), (slow, OK, WARN), (facts(seen), OK, OK)]:
        assert only(connections.network, there).level is network
        assert only(connections.commit_time, there).level is disk


def test_connections_that_run_out_are_told(seen: Look) -> None:
    for used, level in [(10, OK), (90, WARN)]:
        there = with_setting(replace(seen, connections=used), "max_connections", "100", 100)
        finding = only(connections.connection_count, facts(there))
        assert (finding.level, finding.seen) == (level, f"{used} of 100 connections in use")


@pytest.mark.parametrize("name", ["statement_timeout", "idle_session_timeout"])
def test_a_time_out_that_is_too_short_is_told(db: Db, name: str) -> None:
    for value, level in [("0", OK), ("5min", OK), ("2s", WARN)]:
        db.execute("select set_config(%s, %s, false)", [name, value])
        finding = only(connections.time_outs, facts(look(db)))
        assert finding.level is level
    assert finding.seen == f"{name} = 2s"
    db.execute(finding.remedy.replace("alter role current_user ", ""))
    assert only(connections.time_outs, facts(look(db))).level is OK


def test_nothing_ends_a_forgotten_transaction(db: Db, connect: Connect) -> None:
    assert only(connections.idle_transactions, facts(look(db))).level is OK
    forgotten = connect()
    forgotten.execute("begin")
    forgotten.execute("select pg_current_xact_id()")
    assert only(connections.idle_transactions, facts(look(db))).level is WARN
    db.execute("set idle_in_transaction_session_timeout = '5min'")
    assert only(connections.idle_transactions, facts(look(db))).level is OK
