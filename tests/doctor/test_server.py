"""The server keeps what is committed, clears up what is dead, and will last."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from doctor.findings import found, heal, healed, one, present_clock
from support.calls import Session, claim, enqueue_many
from support.clock import own_clock


def set_as(db: Session, **settings: str) -> None:
    """Has the server's settings read as these, where only a whole server could be set so."""
    cases = " ".join(f"when $1 = '{name}' then '{value}'" for name, value in settings.items())
    db.execute(
        "create or replace function rowqueue._setting(name text) returns text language sql stable"
        f" as $$ select case {cases} else current_setting($1, true) end $$"
    )


@pytest.mark.parametrize(
    ("name", "setting"),
    [("fsync_off", "fsync"), ("full_page_writes_off", "full_page_writes")],
)
def test_a_server_that_does_not_wait_for_its_disk_is_told(
    db: Session, name: str, setting: str
) -> None:
    set_as(db, **{setting: "on"})
    assert not found(db, name)
    set_as(db, **{setting: "off"})
    finding = one(db, name)
    assert (finding.severity, finding.what) == ("error", f"{setting} = off")
    assert finding.remedy == f"alter system set {setting} = on; select pg_reload_conf();"


def test_commits_that_wait_for_nothing_are_told(db: Session) -> None:
    db.execute("set synchronous_commit = off")
    assert one(db, "synchronous_commit_off").severity == "error"
    db.execute("set synchronous_commit = local")
    assert not found(db, "synchronous_commit_off")


def test_commits_of_others_that_wait_for_nothing_are_told(db: Session) -> None:
    db.execute(f"alter database {db.info.dbname} set synchronous_commit = off")
    finding = one(db, "synchronous_commit_off")
    assert finding.what == f"synchronous_commit = off in database {db.info.dbname}"
    heal(db, finding)
    db.execute(f"alter role {db.info.user} in database {db.info.dbname} set synchronous_commit=off")
    assert one(db, "synchronous_commit_off").what.startswith("synchronous_commit = off for role ")
    assert healed(db, "synchronous_commit_off")


def test_commits_that_do_not_wait_for_the_standby_are_told(db: Session) -> None:
    set_as(db, synchronous_standby_names="*", synchronous_commit="local")
    assert one(db, "commits_not_replicated").severity == "warning"
    set_as(db, synchronous_standby_names="", synchronous_commit="local")
    assert not found(db, "commits_not_replicated")


@pytest.mark.parametrize("setting", ["zero_damaged_pages", "ignore_checksum_failure"])
def test_a_server_that_reads_on_over_damage_is_told(db: Session, setting: str) -> None:
    db.execute(f"set {setting} = on")
    finding = one(db, "damage_ignored")
    assert (finding.severity, finding.what) == ("error", f"{setting} = on")


def test_an_unlogged_table_is_told(db: Session) -> None:
    db.execute("alter table rowqueue.jobs_live set unlogged")
    finding = one(db, "table_unlogged")
    assert (finding.severity, finding.what) == ("error", "rowqueue.jobs_live is unlogged")
    assert healed(db, "table_unlogged")


@pytest.mark.parametrize("setting", ["autovacuum", "track_counts"])
def test_a_server_that_does_not_clear_up_is_told(db: Session, setting: str) -> None:
    set_as(db, **{setting: "off"})
    finding = one(db, "autovacuum_off")
    assert (finding.severity, finding.what) == ("error", f"{setting} = off")


@pytest.mark.parametrize("table", ["jobs_live", "lanes"])
def test_a_table_that_is_not_cleared_up_is_told(db: Session, table: str) -> None:
    db.execute(f"alter table rowqueue.{table} set (autovacuum_enabled = off)")
    assert one(db, "autovacuum_off").what == f"autovacuum_enabled = off on rowqueue.{table}"
    assert healed(db, "autovacuum_off")


def leave_dead_rows(db: Session, count: int) -> None:
    """Leaves rows that autovacuum will not get at."""
    db.execute("alter table rowqueue.jobs_live set (autovacuum_enabled = off)")
    db.execute(
        "insert into rowqueue.jobs_live (id, created_at, run_after, job_type, payload)"
        " select gen_random_uuid(), now(), now(), 'sync', '{}' from generate_series(1, %s)",
        [count],
    )
    db.execute("delete from rowqueue.jobs_live")
    db.execute("select pg_stat_force_next_flush()")


def test_dead_rows_that_become_many_are_told(db: Session) -> None:
    leave_dead_rows(db, 90_000)
    assert not found(db, "dead_rows")
    leave_dead_rows(db, 10_000)
    finding = one(db, "dead_rows")
    assert (finding.severity, finding.what) == ("warning", "100000 dead rows beside 0 live ones")
    assert healed(db, "dead_rows")


def test_a_table_that_autovacuum_does_not_come_to_is_told(db: Session) -> None:
    clock = present_clock(db)
    leave_dead_rows(db, 9_000)
    clock.set(datetime.now(UTC))
    clock.advance(days=1)
    finding = one(db, "autovacuum_starving")
    assert finding.severity == "warning"
    assert finding.what.startswith("rowqueue.jobs_live has 9000 dead rows")
    db.execute("vacuum rowqueue.jobs_live")
    assert not found(db, "autovacuum_starving")


def test_a_live_room_that_a_backlog_has_blown_up_is_told(db: Session) -> None:
    enqueue_many(db, *[{"payload": {"text": "x" * 700}}] * 50_000)
    claim(db)
    # The last page stays in use, so that the file can't be cut.
    db.execute(
        "delete from rowqueue.jobs_live where ctid < (select max(ctid) from rowqueue.jobs_live)"
    )
    db.execute("vacuum analyze rowqueue.jobs_live")
    db.execute("select pg_stat_force_next_flush()")
    assert one(db, "live_room_bloated").severity == "notice"
    assert healed(db, "live_room_bloated")


def test_a_version_out_of_support_is_told(db: Session) -> None:
    clock = own_clock(db, datetime(2026, 11, 30, tzinfo=UTC))
    assert not found(db, "version_unsupported")
    clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    finding = one(db, "version_unsupported")
    assert (finding.severity, finding.what[:10]) == ("warning", "PostgreSQL")
