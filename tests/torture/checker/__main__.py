"""``python -m torture.checker FOLDER [--dsn DSN]``: 0 for valid, 1 for invalid, 2 for void."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import psycopg

from torture.checker.verdict import judge


def main() -> int:
    """Prints the verdict on a run."""
    parser = argparse.ArgumentParser(prog="torture.checker", description="Judges a run.")
    parser.add_argument("folder", type=Path, help="the histories and run.json")
    parser.add_argument("--dsn", default="", help="the database that the run left")
    arguments = parser.parse_args()
    with psycopg.connect(arguments.dsn, autocommit=True) as db:
        verdict = judge(db, arguments.folder)
    sys.stdout.write(verdict.report())
    if not verdict.valid:
        return 1
    return 2 if verdict.void else 0


if __name__ == "__main__":
    sys.exit(main())
