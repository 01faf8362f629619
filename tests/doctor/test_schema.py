"""The schema is what was installed, and each role has its rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from doctor.findings import found, healed, one
from support.calls import Session

GONE = {
    "a function": "drop function rowqueue.health()",
    "an index": "drop index rowqueue.jobs_live_delayed_idx",
    "a constraint": "alter table rowqueue.jobs drop constraint jobs_run_after_finite",
    "a trigger": "drop trigger changed_by_hand on rowqueue.jobs",
    "a column": "alter table rowqueue.jobs drop column uncharged_crashes",
    "a field of a type": "alter type rowqueue.claimed_job drop attribute alone",
}
CHANGED = {
    "a function": (
        "create or replace function rowqueue.version() returns text language plpgsql immutable"
        " security definer set search_path = pg_catalog, pg_temp as $$ begin return '1'; end $$"
    ),
    "a function's path": "alter function rowqueue.tick() reset search_path",
    "who a function runs as": "alter function rowqueue.tick() security invoker",
    "a sequence": "alter sequence rowqueue.tickets cache 20",
    "an index": (
        "drop index rowqueue.jobs_live_claim_idx; create index jobs_live_claim_idx"
        " on rowqueue.jobs_live (queue, ticket)"
    ),
    "a constraint": (
        "alter table rowqueue.jobs drop constraint jobs_counts_in_range; alter table rowqueue.jobs"
        " add constraint jobs_counts_in_range check (attempts >= -1)"
    ),
    "a trigger": "alter table rowqueue.jobs disable trigger changed_by_hand",
    "a view": "create or replace view rowqueue.job as select * from rowqueue.job where true",
}
EXTRA = {
    "a function": (
        "create function rowqueue.enqueue() returns int language sql as $$ select 1 $$;"
        " revoke all on function rowqueue.enqueue() from public"
    ),
    "an index": "create index mine on rowqueue.jobs_live (status)",
    "a constraint": "alter table rowqueue.jobs add constraint mine check (priority < 5)",
    "a trigger": (
        "create trigger mine before insert on rowqueue.jobs_live"
        " for each row execute function suppress_redundant_updates_trigger()"
    ),
    "a column": "alter table rowqueue.jobs add column mine int",
}


@pytest.mark.parametrize("change", GONE.values(), ids=GONE.keys())
def test_what_is_gone_is_missed(db: Session, change: str) -> None:
    db.execute(change)
    assert one(db, "schema_missing").severity == "error"
    assert healed(db, "schema_missing")
    assert not found(db, "schema_changed")


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_what_is_not_as_it_was_is_told(db: Session, change: str) -> None:
    db.execute(change)
    assert one(db, "schema_changed").severity == "error"
    assert healed(db, "schema_changed")


@pytest.mark.parametrize(
    "change",
    [
        "alter table rowqueue.jobs alter column worker set default 'me'",
        "alter table rowqueue.jobs alter column created_at drop not null",
        "alter table rowqueue.jobs_finished detach partition rowqueue.jobs_finished_default",
    ],
)
def test_where_sql_cannot_tell_what_to_do_it_says_how_it_was(db: Session, change: str) -> None:
    db.execute(change)
    finding = next(one for one in found(db, "schema_changed"))
    assert finding.remedy.startswith("-- as it was: ")


@pytest.mark.parametrize("change", EXTRA.values(), ids=EXTRA.keys())
def test_what_is_more_than_there_was_is_told(db: Session, change: str) -> None:
    db.execute(change)
    assert one(db, "schema_extra").severity == "warning"
    assert healed(db, "schema_extra")


@pytest.mark.parametrize(
    "change",
    [
        "create table rowqueue.mine (id int primary key)",
        "alter table rowqueue.jobs_live set (fillfactor = 90)",
        "select rowqueue.purge_finished()",
        "select rowqueue.tick()",
    ],
)
def test_tables_of_ones_own_and_what_is_to_be_tuned_are_ones_own_affair(
    db: Session, change: str
) -> None:
    db.execute(change)
    assert not found(db, "schema_missing")
    assert not found(db, "schema_changed")
    assert not found(db, "schema_extra")


@pytest.mark.parametrize(
    "change",
    [
        "revoke execute on function rowqueue.enqueue from rowqueue_producer",
        "revoke usage on schema rowqueue from rowqueue_worker",
        "revoke delete on table rowqueue.jobs from rowqueue_admin",
        "revoke select on table rowqueue.job from rowqueue_observer",
    ],
)
def test_a_right_that_is_missing_is_told(db: Session, change: str) -> None:
    db.execute(change)
    assert one(db, "grant_missing").severity == "error"
    assert healed(db, "grant_missing")


def test_a_role_that_is_missing_is_told(db: Session) -> None:
    db.execute("insert into rowqueue.grants values ('usage on schema rowqueue', 'rowqueue_nobody')")
    finding = one(db, "role_missing")
    assert (finding.severity, finding.what) == ("notice", "there is no role rowqueue_nobody")
    assert finding.remedy.startswith("create role rowqueue_nobody nologin; ")


@pytest.mark.parametrize(
    "what",
    ["function rowqueue._finish", "table rowqueue.jobs_live", "schema rowqueue"],
)
def test_a_right_that_everyone_has_is_told(db: Session, what: str) -> None:
    db.execute(f"grant all on {what} to public")
    assert one(db, "granted_to_public").severity == "error"
    assert healed(db, "granted_to_public")


def test_a_new_function_is_everyones_until_that_is_revoked(db: Session) -> None:
    db.execute("create function rowqueue.mine() returns int language sql as $$ select 1 $$")
    assert one(db, "granted_to_public").what == "everyone has execute on function rowqueue.mine()"


@pytest.fixture
def stranger(db: Session) -> Iterator[sql.Identifier]:
    """A role that has nothing to do with rowqueue."""
    (name,) = db.execute("select current_database() || '_stranger'").fetchone() or ("",)
    role = sql.Identifier(name)
    db.execute(sql.SQL("create role {}").format(role))
    yield role
    db.execute(sql.SQL("drop owned by {}").format(role))
    db.execute(sql.SQL("drop role {}").format(role))


def test_what_belongs_to_somebody_else_is_told(db: Session, stranger: sql.Identifier) -> None:
    db.execute(sql.SQL("alter function rowqueue.tick() owner to {}").format(stranger))
    finding = one(db, "owner_differs")
    assert finding.severity == "error"
    assert finding.what.startswith("function rowqueue.tick() belongs to ")
    assert healed(db, "owner_differs")
