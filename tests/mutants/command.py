"""Takes one guard after the other out of ``sql/`` and runs the tests that must notice.

    python -m mutants.command --part 1/4 --kinds token,status

prints what noticed each mutant. Exit code 1 when nothing noticed one, and `mutants.equivalent` has
no reason for that.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from mutants.equivalent import reason_for
from mutants.guards import KINDS, Mutant, mutants
from mutants.trial import Fate, Laboratory
from rowqueue import schema

_laboratories: list[Laboratory] = []


def main() -> int:
    """Tries the mutants that the command line picks; returns the exit code."""
    parser = argparse.ArgumentParser(description="the SQL with one guard taken out at a time")
    parser.add_argument("--part", default="1/1", help="1/4: the first quarter of them")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, separated by commas")
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--quick", action="store_true", help="no run of pytest")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    part, parts = map(int, chosen.part.split("/"))
    picked = [
        mutant
        for mutant in mutants(schema.sql_folder())
        if mutant.kind in chosen.kinds.split(",") and chosen.only in mutant.name
    ][part - 1 :: parts]
    unexplained, equivalent, began = 0, 0, time.monotonic()
    with ProcessPoolExecutor(chosen.processes) as processes:
        thoroughly = [not chosen.quick and reason_for(mutant) is None for mutant in picked]
        for fate in processes.map(_try, picked, thoroughly):
            reason = reason_for(fate.mutant)
            unexplained += fate.killer is None and reason is None
            equivalent += fate.killer is None and reason is not None
            print(f"{fate.mutant}\n    {fate.killer or reason or 'NOTHING NOTICED IT'}", flush=True)
        for _ in range(chosen.processes):
            processes.submit(_close)
    print(
        f"{len(picked)} mutants in {time.monotonic() - began:.0f} s: {unexplained} survived, "
        f"{equivalent} make no difference"
    )
    return 1 if unexplained else 0


def _try(mutant: Mutant, thoroughly: bool) -> Fate:
    if not _laboratories:
        _laboratories.append(Laboratory())
    return _laboratories[0].try_(mutant, thoroughly=thoroughly)


def _close() -> None:
    while _laboratories:
        _laboratories.pop().close()


if __name__ == "__main__":
    sys.exit(main())
