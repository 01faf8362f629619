"""The proxy that loses replies: it must lose what it is told to, and nothing else."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from support.waiting import eventually
from torture import proxy

Db = psycopg.Connection[Any]


@pytest.fixture
def orders() -> Iterator[tuple[Connection, Connection]]:
    """The two ends of the pipe to the proxy: ours, and its own."""
    ours, its_own = multiprocessing.Pipe()
    yield ours, its_own
    its_own.close()


@pytest.fixture
def proxied(dsn: str, orders: tuple[Connection, Connection]) -> Iterator[str]:
    """The test's database through a proxy, which runs until the test ends."""
    host, port = (str(conninfo_to_dict(dsn).get(name)) for name in ("host", "port"))
    if host != "127.0.0.1":
        pytest.skip("the server is not at 127.0.0.1")
    ours, its_own = orders
    thread = threading.Thread(target=proxy.serve, args=(int(port), 1, its_own))
    thread.start()
    try:
        yield make_conninfo(dsn, port=ours.recv(), application_name="client", sslmode="disable")
    finally:
        ours.close()
        thread.join()


@pytest.fixture
def table(db: Db) -> str:
    """An empty table."""
    db.execute("create table public.written (n int)")
    return "public.written"


def _written(db: Db) -> list[int]:
    return [n for (n,) in db.execute("select n from public.written order by n")]


@pytest.mark.parametrize("blindly", [False, True])
def test_a_commit_whose_reply_is_lost_has_happened(
    blindly: bool, proxied: str, table: str, db: Db, orders: tuple[Connection, Connection]
) -> None:
    orders[0].send(proxy.DropReply("client", blindly=blindly))
    with psycopg.connect(proxied) as client:
        client.execute("insert into public.written values (1)")
        assert client.execute("select 1").fetchone() == (1,)  # in a block, this commits nothing
        with pytest.raises(psycopg.OperationalError):
            client.commit()
    assert eventually(lambda: _written(db)) == [1]
    assert orders[0].recv()[1] == "client"


def test_so_has_a_statement_that_commits_by_itself(
    proxied: str, table: str, db: Db, orders: tuple[Connection, Connection]
) -> None:
    orders[0].send(proxy.DropReply("client", blindly=False))
    client = psycopg.connect(proxied, autocommit=True)
    with client, pytest.raises(psycopg.OperationalError):
        client.execute("insert into public.written values (%s)", [2])
    assert _written(db) == [2]


def test_an_order_waits_for_the_client_that_it_names(
    proxied: str, table: str, db: Db, orders: tuple[Connection, Connection]
) -> None:
    orders[0].send(proxy.DropReply("somebody else", blindly=False))
    with psycopg.connect(proxied, autocommit=True) as client:
        client.execute("insert into public.written values (3)")
    assert _written(db) == [3]
    assert not orders[0].poll()


def test_what_it_is_not_told_to_lose_comes_through_whole(proxied: str) -> None:
    with psycopg.connect(proxied) as client:
        (long,) = client.execute("select repeat('long ', 1000000)").fetchone() or ("",)
        assert len(long) == 5_000_000
        with client.pipeline():
            cursors = [client.execute("select %s::int", [n]) for n in range(100)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(100)]


def test_a_cut_link_is_reset(proxied: str, orders: tuple[Connection, Connection]) -> None:
    with psycopg.connect(proxied) as client:
        client.execute("select 1")
        orders[0].send(proxy.Cut(links=1))
        assert orders[0].recv()[1] == "client"
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 1")


def test_a_link_that_hangs_says_nothing_until_it_is_reset(
    proxied: str, table: str, db: Db, orders: tuple[Connection, Connection]
) -> None:
    with closing(psycopg.connect(proxied, autocommit=True)) as client:
        client.execute("select 1")
        orders[0].send(proxy.Hang(links=1, seconds=0.2))
        orders[0].recv()
        with pytest.raises(psycopg.OperationalError):
            client.execute("insert into public.written values (4)")
    assert _written(db) == []
