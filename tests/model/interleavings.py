"""Random interleavings of two to four sessions, in the database and in the reference model.

    python -m model.interleavings 1000000 --seed 1

plays them, in several processes, and prints how many there were. The first one that goes wrong is
shrunk and printed, and ends the run with exit code 1. Number and seed make an interleaving: the
same ones come again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random

import psycopg

from model.calls import Void
from model.play import Mismatch, Play
from model.steps import Step, shrink, throw
from model.table import Table
from rowqueue import schema
from rowqueue.embedded import EmbeddedPostgres
from support.server import SETTINGS, fast_place, own_version

CHUNK = 1_000
CLEAR_UP_AFTER = 500


@dataclass
class Tally:
    """What was played.

    Attributes:
        played: how many interleavings.
        void: how many of them led into a deadlock of their own making, or left it to chance what
            comes.
        seen: how often each call had an answer, and how often each had to wait.
        wrong: the first one that went wrong, shrunk, as a text.
    """

    played: int = 0
    void: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: str | None = None

    def add(self, other: Tally) -> None:
        """Adds another one."""
        self.played += other.played
        self.void += other.void
        self.seen += other.seen
        self.wrong = self.wrong or other.wrong

    def __str__(self) -> str:
        calls = sum(count for (_, how), count in self.seen.items() if how != "waits")
        waits = sum(count for (_, how), count in self.seen.items() if how == "waits")
        return (
            f"{self.played} interleavings ({self.void} void), "
            f"{calls} calls, of which {waits} had to wait"
        )


def play(table: Table, seed: int, numbers: range, *, shrinks: bool = True) -> Tally:
    """Plays the interleavings of these numbers, until one goes wrong, which is shrunk or not."""
    tally = Tally()
    for number in numbers:
        steps = throw(Random(f"{seed} {number}"))
        tally.played += 1
        try:
            Play(table, tally.seen).run(steps)
        except Void:
            tally.void += 1
        except Mismatch as mismatch:
            what = _report(table, steps, mismatch) if shrinks else str(mismatch)
            tally.wrong = f"interleaving {number} of seed {seed}\n{what}"
            break
        if tally.played % CLEAR_UP_AFTER == 0:
            table.vacuum()
    return tally


def _report(table: Table, steps: list[Step], mismatch: Mismatch) -> str:
    def what_is_wrong(steps: list[Step]) -> str | None:
        try:
            Play(table).run(steps)
        except Mismatch as again:
            return str(again)
        except Void:
            return None
        return None

    few = shrink(steps, lambda fewer: what_is_wrong(fewer) is not None)
    what = what_is_wrong(few) or f"{mismatch} (and not every time)"
    return "\n".join([*(f"    {step}" for step in few), what])


def _play_at(dsn: str, database: str, seed: int, numbers: range) -> Tally:
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(f"create database {database} template rowqueue strategy file_copy".encode())
    try:
        with Table(dsn.removesuffix("/postgres") + f"/{database}") as table:
            return play(table, seed, numbers)
    finally:
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute(f"drop database {database} with (force)".encode())


def _chunks(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, CHUNK):
        yield range(start, min(start + CHUNK, first + count))


def main() -> int:
    """Plays as many as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="random interleavings of two to four sessions")
    parser.add_argument("count", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    total, began = Tally(), time.monotonic()
    server = EmbeddedPostgres(
        version=own_version(),
        prefer="installed",
        temporary_in=fast_place(),
        settings=SETTINGS,
        fsync=False,
    )
    with server, ProcessPoolExecutor(chosen.processes) as processes:
        with psycopg.connect(server.dsn, autocommit=True) as session:
            session.execute("create database rowqueue")
        with psycopg.connect(server.dsn, dbname="rowqueue", autocommit=True) as session:
            session.execute(schema.render().encode())
        parts = [
            processes.submit(_play_at, server.dsn, f"chunk_{numbers.start}", chosen.seed, numbers)
            for numbers in _chunks(chosen.first, chosen.count)
        ]
        for part in parts:
            total.add(part.result())
            seconds = time.monotonic() - began
            print(f"{total}; {total.played / seconds:.0f} a second", flush=True)
            if total.wrong:
                print(total.wrong, file=sys.stderr, flush=True)
                processes.shutdown(cancel_futures=True)
                break
    for (call, how), count in sorted(total.seen.items()):
        print(f"    {call:12} {how:14} {count:9}")
    print(f"PostgreSQL {server.binaries.version}, seed {chosen.seed}: {total}")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
