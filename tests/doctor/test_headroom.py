"""Transaction ids that run out are told in time."""

from __future__ import annotations

import os

from psycopg.rows import namedtuple_row

from doctor.findings import found, heal
from rowqueue.embedded import Account
from servers.node import Node, own_node

FAR = 1_200_000_000
_SEGMENT = 1 << 20
"""Transactions in one file of pg_xact."""


def move_on(node: Node, transaction: int) -> None:
    """Has a server that is stopped give out ids from there on."""
    account = Account.for_server()
    file = node.data / "pg_xact" / f"{transaction // _SEGMENT:04X}"
    file.write_bytes(bytes(_SEGMENT // 4))
    os.chown(file, account.uid, account.gid)
    node.run("pg_resetwal", f"--next-transaction-id={transaction}", node.data)


def test_transaction_ids_that_run_out_are_told() -> None:
    # Otherwise autovacuum freezes at once what has become so old.
    with own_node(settings={"autovacuum_freeze_max_age": 2_000_000_000}) as node:
        node.stop()
        move_on(node, FAR)
        node.start()
        with node.connect(row_factory=namedtuple_row) as session:
            before = found(session, "transaction_ids_low")
            assert {row.severity for row in before} == {"error"}
            [here] = [row for row in before if row.what.startswith("database postgres: ")]
            heal(session, here)
            after = found(session, "transaction_ids_low")
            assert len(after) == len(before) - 1
