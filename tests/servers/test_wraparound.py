"""Transaction ids run out: what is written is refused, what is there stays, vacuum ends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from rowqueue.embedded import Account
from servers.ask import ask
from servers.node import Node, own_node
from support.calls import Session, claim, enqueue, refused, rows, running, value
from support.waiting import eventually

KEPT_BACK = 3_000_000
"""Ids that the server does not give out, so that an administrator has some left."""

IDS_A_FILE = 2**20
REFUSED = "54000"


@pytest.fixture
def node() -> Iterator[Node]:
    with own_node(settings={"wal_level": "logical", "autovacuum_naptime": 1}) as node:
        yield node


def let_ids_run_out(node: Node) -> None:
    """Takes a server, which somebody's forgotten slot keeps from cleaning up, to its limit."""
    with node.connect() as db:
        query = "select min(datfrozenxid::text::bigint) as oldest from pg_database"
        limit = ask(db, query).oldest + 2**31 - KEPT_BACK
    node.stop()
    node.run("pg_resetwal", f"--next-transaction-id={limit}", node.data)
    clog = node.data / "pg_xact" / f"{limit // IDS_A_FILE:04X}"
    if not clog.exists():
        clog.write_bytes(bytes(IDS_A_FILE // 4))
        shutil.chown(clog, Account.for_server().uid)
    node.start()


def is_written(db: Session) -> bool:
    """Whether the server gives out transaction ids."""
    with suppress(psycopg.errors.ProgramLimitExceeded):
        db.execute("create temporary table anything ()")
        return True
    return False


def test_without_transaction_ids_nothing_is_lost_and_all_goes_on_after_vacuum(node: Node) -> None:
    with node.connect() as db:
        made = enqueue(db)
        held = running(db)
        value(db, "tick")
        db.execute("select pg_create_logical_replication_slot('forgotten', 'pgoutput')")
    let_ids_run_out(node)
    with node.connect() as db:
        with refused(db, REFUSED):
            enqueue(db)
        with refused(db, REFUSED):
            claim(db)
        with refused(db, REFUSED):
            rows(db, "complete", job_id=held.id, token=held.token)
        assert claim(db, queues=["empty"]) == []
        assert len(rows(db, "list_jobs")) == 2

        db.execute("select pg_drop_replication_slot('forgotten')")
        eventually(lambda: is_written(db), within=60, what="autovacuum to end it")
        assert [one.id for one in claim(db)] == [made]
        rows(db, "complete", job_id=held.id, token=held.token)
        enqueue(db)
        for _ in range(3):
            assert value(db, "tick")["below_floor"] == 0
