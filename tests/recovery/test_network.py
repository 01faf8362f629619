"""A network that goes away without a word, or that loses what it is given."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from psycopg.rows import namedtuple_row

from recovery.cable import Cable, cable, needs_network
from recovery.process import worker_at_work
from servers.node import Node, own_node
from support.calls import Session, enqueue, enqueue_many
from support.waiting import eventually
from support.workers import environment, until

pytestmark = needs_network

NOTICED_WITHIN = 10.0


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[Node, Cable, str]]:
    """A server, a cable, and the server's address at the far end of it."""
    with ExitStack() as stack:
        joined = stack.enter_context(cable())
        addresses = f"127.0.0.1,{joined.here}"
        node = stack.enter_context(own_node(settings={"listen_addresses": addresses}))
        with (node.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {joined.subnet} scram-sha-256\n")
        with node.connect() as session:
            session.execute("select pg_reload_conf()")
        yield node, joined, node.url.replace("127.0.0.1", joined.here)


@pytest.fixture
def node_db(network: tuple[Node, Cable, str]) -> Iterator[Session]:
    """A session on that server, from here."""
    node, _, _ = network
    with node.connect(row_factory=namedtuple_row) as session:
        yield session


def sessions_from_afar(db: Session, where: str = "true") -> int:
    """Returns how many sessions from the other end of the cable the server still has."""
    found = db.execute(
        f"select count(*) from pg_stat_activity where client_addr <> '127.0.0.1' and {where}"
    ).fetchone()
    assert found is not None
    return int(found.count)


def test_a_dead_link_is_noticed_within_ten_seconds_at_both_ends(
    network: tuple[Node, Cable, str], node_db: Session
) -> None:
    _, joined, dsn = network
    probe = subprocess.Popen(
        [*joined.on_the_host, sys.executable, "-m", "recovery.probe", dsn],
        env=environment(dsn),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with probe, worker_at_work(dsn, "by_default", prefix=joined.on_the_host) as worker:
        assert probe.stdin is not None
        assert probe.stdout is not None
        assert probe.stdout.readline() == "ready\n"
        done = enqueue(node_db, "echo")
        until(node_db, done, "completed")

        joined.pull()
        pulled = time.monotonic()
        probe.stdin.write("pulled\n")
        probe.stdin.flush()
        noticed = {}
        for line in probe.stdout:
            kind, at, reason = line.split("\t")
            noticed[kind] = round(float(at) - pulled, 2)
            assert "could not receive data from server" in reason, line
        worker_noticed = worker.until_says("connection: ").at - pulled
        eventually(lambda: not sessions_from_afar(node_db, "query not like '%pg_sleep%'"))
        server_noticed = time.monotonic() - pulled
        joined.plug()

        assert noticed.keys() == {"listen", "query", "query_late"}
        figures = (noticed, worker_noticed, server_noticed)
        assert max(*noticed.values(), worker_noticed) < NOTICED_WITHIN, figures
        assert server_noticed < NOTICED_WITHIN + 2, figures
        # It listens again, for it claims at once what comes, and not when it next polls.
        worker.until_says("all connections are back")
        until(node_db, enqueue(node_db, "echo"), "completed")
        worker.popen.terminate()
        assert worker.wait() == 0, worker.log


@pytest.mark.skipif(shutil.which("nft") is None, reason="drops packets with nftables' nft")
def test_a_network_that_loses_packets_costs_time_only(
    network: tuple[Node, Cable, str], node_db: Session
) -> None:
    _, joined, dsn = network
    with worker_at_work(dsn, "by_default", prefix=joined.on_the_host) as worker:
        worker.until_works()
        nft(joined, "add table inet lossy")
        for way in ("input", "output"):
            nft(joined, f"add chain inet lossy {way} {{ type filter hook {way} priority 0; }}")
            nft(joined, f"add rule inet lossy {way} numgen random mod 100 < 5 counter drop")
        ids = [
            one.id for _ in range(30) for one in enqueue_many(node_db, *[{"job_type": "echo"}] * 5)
        ]
        for one in ids:
            assert until(node_db, one, "completed").attempts == 1
        lost = re.findall(r"counter packets (\d+)", nft(joined, "list table inet lossy"))
        nft(joined, "delete table inet lossy")
        assert sum(map(int, lost)) > 0
        worker.popen.terminate()
        assert worker.wait() == 0, worker.log


def nft(joined: Cable, words: str) -> str:
    """Runs a command of nftables on the far host."""
    return subprocess.run(
        [*joined.on_the_host, "nft", words], check=True, capture_output=True, text=True
    ).stdout
