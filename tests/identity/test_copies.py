"""A database that is a copy of another hands out no jobs until an admin confirms it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from doctor.findings import found, healed, one
from identity.copies import clone, dump, restore, rows_of_identity, session_on, worked_in
from servers.node import own_node
from support.calls import (
    Session,
    claim,
    claim_one,
    enqueue,
    job,
    refused,
    rows,
    stored,
    value,
)
from support.clock import own_clock
from support.server import Server

Connect = Callable[..., Session]


def test_a_database_in_which_nothing_was_claimed_may_be_a_template(
    server: Server, db: Session
) -> None:
    enqueue(db)
    value(db, "tick")
    assert rows_of_identity(db) == 0
    with clone(server, db) as copy:
        assert claim(copy)
        value(copy, "tick")
        assert rows_of_identity(copy) == 1


def test_an_idle_tick_notes_nothing(db: Session) -> None:
    for _ in range(3):
        value(db, "tick")
    assert rows_of_identity(db) == 0


def test_a_copy_made_from_a_template_hands_out_nothing(server: Server, db: Session) -> None:
    job_id = enqueue(worked_in(db))
    with clone(server, db) as copy:
        with refused(copy, "RQ203") as caught:
            claim(copy)
        said = caught.value.diag
        assert said.message_primary is not None
        assert said.message_primary.startswith("this database is a copy of the one in which jobs")
        assert "database oid" in said.message_primary
        assert said.message_hint is not None
        assert said.message_hint.endswith("select rowqueue.confirm_identity();")

        assert job(copy, job_id).status == "pending"
        assert enqueue(copy)
        assert value(copy, "tick")["reaped"] == 0
        assert one(copy, "identity_unconfirmed").severity == "error"
        assert healed(copy, "identity_unconfirmed")
        assert claim_one(copy).id == job_id


def test_a_dump_restored_elsewhere_hands_out_nothing(db: Session, dsn: str, tmp_path: Path) -> None:
    enqueue(worked_in(db))
    file = tmp_path / "dump.sql"
    dump(dsn, file, "--no-owner")
    with own_node(installed=False) as node:
        with session_on(node.url) as there:
            for role in ("producer", "worker", "observer", "admin"):
                there.execute(f"create role rowqueue_{role}")
        restore(node.url, file)
        with session_on(node.url) as there:
            with refused(there, "RQ203") as caught:
                claim(there)
            assert "system identifier" in str(caught.value)
            assert not found(there, "schema_missing")
            assert not found(there, "schema_changed")
            assert value(there, "confirm_identity") is True
            assert claim(there)


def test_a_dump_restored_over_the_original_hands_out_nothing_to_sessions_that_were_there(
    db: Session, dsn: str, connect: Connect, tmp_path: Path
) -> None:
    """The server and the database are the same. Its tables are others."""
    worker = connect()
    for _ in range(3):
        enqueue(worked_in(db))
    assert claim(worker)
    file = tmp_path / "dump.sql"
    dump(dsn, file, "--clean", "--if-exists")
    latest = claim_one(worker).token
    restore(dsn, file)
    for session in (worker, db):
        with refused(session, "RQ203") as caught:
            claim(session)
        assert "restored from a dump" in str(caught.value)
    assert value(db, "confirm_identity") is True
    assert claim_one(worker).token > latest


def test_rows_restored_into_a_schema_that_was_there_are_noticed(
    db: Session, dsn: str, tmp_path: Path
) -> None:
    """They bring the identity of their own database along, beside that of this one."""
    worked_in(db)
    file = tmp_path / "dump.sql"
    dump(dsn, file, "--data-only", "--table=rowqueue.identity")
    with own_node() as node, session_on(node.url) as there:
        worked_in(there)
        restore(node.url, file)
        with session_on(node.url) as worker, refused(worker, "RQ203"):
            claim(worker)
        assert value(there, "confirm_identity") is True
        assert rows_of_identity(there) == 1


def test_what_ran_in_the_original_is_pending_in_the_copy_and_no_token_comes_twice(
    server: Server, db: Session
) -> None:
    worked_in(db)
    job_id = enqueue(db)
    held = claim_one(db, lease=timedelta(hours=1))
    with clone(server, db) as copy:
        with refused(copy, "RQ203"):
            claim(copy)
        assert value(copy, "confirm_identity") is True
        assert job(copy, job_id).status == "pending"
        with refused(copy, "RQ101"):
            rows(copy, "complete", job_id=job_id, token=held.token)
        again = claim_one(copy)
        assert again.id == job_id
        # The original may have given out any number meanwhile: fewer than a million a second.
        assert again.token > 10**15
        assert again.token < 2**53


def test_two_copies_of_one_backup_never_give_out_the_same_token(
    server: Server, db: Session
) -> None:
    enqueue(worked_in(db))
    tokens = []
    original = server.url(db.info.dbname)
    for _ in range(2):
        with clone(server, session_on(original) if db.closed else db) as copy:
            value(copy, "confirm_identity")
            tokens.append(claim_one(copy).token)
    assert tokens[0] < tokens[1]


def test_a_copy_forgets_what_was_known_of_the_original(server: Server, db: Session) -> None:
    worked_in(db)
    for _ in range(20):
        enqueue(db, queue="other")
        done = claim_one(db, queues=["other"])
        rows(db, "complete", job_id=done.id, token=done.token)
        value(db, "tick")
    # As after a restore onto a server that has given out fewer transaction ids, and runs behind.
    db.execute("update rowqueue.watermarks set xid = '999999999999', due_floor = now() + '1 day'")
    job_id = enqueue(db, run_after=own_clock(db).now)
    with clone(server, db) as copy:
        value(copy, "confirm_identity")
        [[largest]] = copy.execute("select max(floor) from rowqueue.lanes").fetchall()
        assert largest == 0
        copy.execute("update public.test_clock set now = now + interval '1 minute'")
        assert claim_one(copy).id == job_id
        for _ in range(4):
            value(copy, "tick")
        [[largest]] = copy.execute("select max(floor) from rowqueue.lanes").fetchall()
        assert largest > 0


def test_confirming_what_nobody_doubts_changes_nothing(db: Session) -> None:
    worked_in(db)
    job_id = enqueue(db)
    held = claim_one(db)
    before = stored(db, job_id)
    assert value(db, "confirm_identity") is False
    assert stored(db, job_id) == before
    rows(db, "complete", job_id=job_id, token=held.token)
    enqueue(db)
    assert claim_one(db).token == held.token + 1


def test_a_rollback_takes_the_confirmation_back(server: Server, db: Session) -> None:
    enqueue(worked_in(db))
    with clone(server, db) as copy:
        with copy.transaction(force_rollback=True):
            assert value(copy, "confirm_identity") is True
            assert claim(copy)
        with refused(copy, "RQ203"):
            claim(copy)


def test_a_session_asks_once(db: Session) -> None:
    """What it costs is a look at a setting of the session's own."""
    worked_in(db)
    db.execute(
        "create or replace function rowqueue._identity_doubt() returns text language plpgsql"
        " as $$ begin raise exception 'asked'; end $$"
    )
    enqueue(db)
    assert claim(db)
    db.execute("discard all")
    with pytest.raises(Exception, match="asked"):
        claim(db)


def test_only_an_admin_may_confirm(db: Session) -> None:
    for role in ("producer", "worker", "observer"):
        with db.transaction(force_rollback=True):
            db.execute(f"set local role rowqueue_{role}")
            with refused(db, "42501"):
                value(db, "confirm_identity")
    db.execute("set role rowqueue_admin")
    assert value(db, "confirm_identity") is False


@pytest.mark.parametrize("servers", [[], ["elsewhere"], ["", None], [[""]], [""] * 101])
def test_a_list_of_servers_names_this_one(db: Session, servers: list[object]) -> None:
    with refused(db, "22023"):
        db.execute("select rowqueue.confirm_identity(%s::text[])", [servers])
    assert value(db, "confirm_identity", servers=["", "another"]) is False
    assert claim(db) == []


def test_an_owner_can_have_a_physical_copy_doubted(db: Session) -> None:
    """Where a copy of the whole server cannot be given a name of its own."""
    enqueue(worked_in(db))
    db.execute("update rowqueue.identity set servers = '{none}'")
    db.execute("discard all")
    with refused(db, "RQ203"):
        claim(db)
    assert value(db, "confirm_identity") is True
    assert claim(db)
