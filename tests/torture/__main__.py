"""``python -m torture --jobs 50000 --seed 1``, with ``tests`` on the path: see ``make torture``."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import psycopg

from torture.checker import judge
from torture.conductor import Conductor, Options
from torture.database import clock_library
from torture.faults import ALL, BY_THEMSELVES, IN_A_ROUND

_VALID, _INVALID, _VOID, _BROKEN = range(4)

_KNOWN = frozenset(IN_A_ROUND) | BY_THEMSELVES


def main() -> int:
    """Runs, judges, and returns the exit code: 0 valid, 1 invalid, 2 void, 3 the tests' fault."""
    options, keep = _options()
    _say(
        f"seed {options.seed}, {options.jobs:,} jobs, in {options.folder}\n"
        f"faults: {', '.join(sorted(options.faults)) or 'none'}"
    )
    with Conductor(options, _say) as conductor:
        code = _run_and_judge(conductor, options)
    if keep or code in (_INVALID, _BROKEN):
        _say(f"histories and cluster are kept in {options.folder}")
    else:
        shutil.rmtree(options.folder)
    return code


def _run_and_judge(conductor: Conductor, options: Options) -> int:
    drained = conductor.run()
    _say(
        f"{'drained' if drained else 'NOT drained'} after {conductor.seconds:.0f} s, "
        f"{options.jobs / conductor.seconds:,.0f} jobs/s"
    )
    for kind, number in sorted(conductor.faults.dealt.items()):
        _say(f"  {number:6,} {kind}")
    for how, number in sorted(conductor.troupe.ended.items()):
        _say(f"  {number:6,} lives ended by {how}")
    with psycopg.connect(conductor.dsn, autocommit=True) as db:
        verdict = judge(db, conductor.histories)
    _say(verdict.report())
    if broken := conductor.troupe.broken:
        names = ", ".join(part.process for part in broken)
        _say(f"broke down by themselves: {names}; see the logs in {conductor.histories}")
        return _BROKEN
    if not verdict.valid:
        return _INVALID
    return _VOID if verdict.void else _VALID


def _options() -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=None, help="a random one if left out")
    parser.add_argument(
        "--faults",
        type=_faults,
        default=ALL,
        help="a list, in which all and none may stand, and what begins with - is taken out: "
        f"{', '.join(sorted(_KNOWN))}",
    )
    parser.add_argument("--pg", default=None, help="PostgreSQL's major version")
    parser.add_argument("--out", type=Path, default=None, help="a folder that is not there yet")
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument("--pace", type=float, default=0.8, help="seconds between faults")
    parser.add_argument("--backlog", type=int, default=5_000)
    given = parser.parse_args()
    if "clock_jump" in given.faults and clock_library() is None:
        parser.error("clock_jump needs libfaketime, which is not installed")
    options = Options(
        jobs=given.jobs,
        seed=random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed,
        faults=given.faults,
        folder=given.out or _folder(),
        version=given.pg,
        lease=given.lease,
        pace=given.pace,
        backlog=given.backlog,
    )
    return options, given.out is not None


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    folder.chmod(0o711)  # the server may run as another user
    return folder


def _faults(text: str) -> frozenset[str]:
    chosen: frozenset[str] = frozenset()
    for word in text.split(","):
        name = word.removeprefix("-").strip()
        kinds = {"all": ALL, "none": frozenset[str]()}.get(name, frozenset({name}))
        if not kinds <= _KNOWN:
            raise argparse.ArgumentTypeError(f"there is no fault {name!r}")
        chosen = chosen - kinds if word.startswith("-") else chosen | kinds
    return chosen - {"purge"} if "clock_jump" in chosen else chosen


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
