"""Long readers in turn: reports on other tables, and dumps that lock every table for reading."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bench, Lines, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.flow import open_loop

_SECONDS = 900.0
_READERS = 3
_ROWS = 200_000
_EVERY = 0.5

Session = psycopg.Connection[Any]
Read = Callable[[Session], None]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=800, help="jobs a second")
    parser.add_argument("--reader-seconds", type=float, default=120, help="how long each one reads")


def _read_elsewhere(session: Session) -> None:
    session.execute("select f.kind, count(*), sum(f.amount) from public.facts as f group by f.kind")


def _read_everything(session: Session) -> None:
    """Locks all tables as a dump does at its beginning, and reads one of them."""
    found = session.execute(
        "select n.nspname, c.relname"
        " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and n.nspname !~ '^pg_|^information_schema$' order by c.oid"
    )
    tables = [sql.Identifier(*names) for names in found.fetchall()]
    session.execute(
        sql.SQL("lock table {} in access share mode").format(sql.SQL(", ").join(tables))
    )
    _read_elsewhere(session)


@contextmanager
def _readers(server: Server, dsn: str, read: Read, lasting: float) -> Iterator[None]:
    """Has readers at work that take turns: as many at any time, each of them as long."""
    over = threading.Event()

    def one_after_another(delay: float) -> None:
        over.wait(delay)
        while not over.is_set():
            with server.connect(dsn) as session:
                session.execute("begin isolation level repeatable read")
                ends = time.monotonic() + lasting
                while time.monotonic() < ends and not over.is_set():
                    read(session)
                    over.wait(_EVERY)

    threads = [
        threading.Thread(target=one_after_another, args=(number * lasting / _READERS,))
        for number in range(_READERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _run(read: Read, bench: Bench) -> None:
    options = bench.options
    seconds = float(options.seconds or _SECONDS)

    def measure(system: System, case: str) -> dict[str, Any]:
        server = bench.server
        with server.database(system) as dsn:
            with server.connect(dsn) as session:
                session.execute(
                    sql.SQL(
                        "create table public.facts as select n % 10 as kind, n as amount"
                        " from generate_series(1, {}) as n"
                    ).format(_ROWS)
                )
            server.settle(dsn)
            with _readers(server, dsn, read, options.reader_seconds):
                flow, pickups = open_loop(system, dsn, rate=options.rate, seconds=seconds)
        minutes = pickups.delays_by(min(60, seconds / 5), 0.99)
        return {
            **flow.fields(),
            "values": {
                "backlog": pickups.largest_backlog(),
                "p50": pickups.delay(0.5),
                "p99": pickups.delay(0.99),
                "worst minute": max(delay for _, delay in minutes),
            },
            "series": {"p99": minutes},
        }

    alternate(bench, [""], measure)


def _scenario(name: str, about: str, read: Read) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        systems=("rowqueue", "classic", "graphile-worker"),
        measures=(
            Measure("backlog", "jobs", "lower"),
            Measure("p50", "ms", "lower"),
            Measure("p99", "ms", "lower"),
            Measure("worst minute", "ms", "lower"),
        ),
        run=partial(_run, read),
        options=_options,
        rounds=1,
        short={"systems": ["rowqueue"], "seconds": 2, "rate": 200, "reader_seconds": 1},
        plots=(
            Lines(
                series="p99",
                title="Pickup latency beside long readers, 99th percentile by minute",
                x="minute",
                y="ms",
                log=True,
            ),
        ),
    )


READERS = _scenario(
    "readers",
    "800 jobs/s for 15 minutes beside three overlapping reports of 120 s each, on another table."
    " Backlog: the most jobs due and not begun. Worst minute: its 99th percentile.",
    _read_elsewhere,
)

DUMP_READERS = _scenario(
    "dump_readers",
    "The same beside three sessions that hold an ACCESS SHARE lock on all tables, as pg_dump does.",
    _read_everything,
)
