"""``python -m bench``: enqueue and drain rates beside the classic table, on an own Postgres."""

from __future__ import annotations

import argparse
import os
import platform

import psycopg

from bench.rates import measure
from rowqueue.embedded import EmbeddedPostgres
from rowqueue.migrate import migrate

_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000, help="jobs a round (default: 50000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--pg", help="the major version, if more than one is there: 15, 16 or 18")
    options = parser.parse_args()
    with EmbeddedPostgres(version=options.pg, prefer="installed", settings=_SETTINGS) as postgres:
        migrate(postgres.dsn)
        _print_settings(postgres.dsn)
        print(f"{options.rounds} rounds of {options.jobs:,} jobs, 2 sessions, jobs a second:\n")
        print(f"{'':36}{'median':>9}{'lowest':>9}{'highest':>9}{'classic':>9}{'ratio':>7}")
        for ours, theirs in measure(postgres.dsn, options.jobs, options.rounds):
            print(
                f"{ours.name:36}{ours.median:9,.0f}{ours.lowest:9,.0f}{ours.highest:9,.0f}"
                f"{theirs.median:9,.0f}{ours.median / theirs.median:7.2f}"
            )


def _print_settings(dsn: str) -> None:
    with psycopg.connect(dsn) as session:
        names = ["server_version", "fsync", "synchronous_commit", *_SETTINGS]
        shown = [session.execute(f"show {name}").fetchone() for name in names]
    said = ", ".join(f"{name} {row[0]}" for name, row in zip(names, shown, strict=True) if row)
    print(f"{said}; Python {platform.python_version()}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
