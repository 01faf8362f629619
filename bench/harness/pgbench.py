"""pgbench: SQL at the speed of C."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.harness.driver import DriverFailed
from bench.harness.server import Server

_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")


@dataclass(frozen=True, slots=True)
class Pgbench:
    """What pgbench says of a run.

    Attributes:
        transactions: how many times the script ran, all clients together.
        seconds: how long that took, without connecting.
    """

    transactions: int
    seconds: float


def pgbench(
    server: Server,
    dsn: str,
    script: Path,
    *,
    clients: int,
    transactions: int,
    **variables: str | int,
) -> Pgbench:
    """Runs a script with prepared statements, each statement a transaction of its own.

    Args:
        server: whose pgbench is used; the one on the PATH where it has none.
        dsn: the database.
        script: the file.
        clients: how many sessions, each with a thread of its own.
        transactions: how often each client runs the script.
        variables: the script's.

    Raises:
        DriverFailed: pgbench is not there, or a statement failed.
    """
    program = server.program("pgbench")
    if not Path(program).exists():
        program = shutil.which("pgbench") or ""
        if not program:
            raise DriverFailed("there is no pgbench")
    defined = [f"--define={name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        [
            *(program, "--no-vacuum", "--protocol=prepared", f"--file={script}", *defined),
            *(f"--client={clients}", f"--jobs={clients}", f"--transactions={transactions}", dsn),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    processed, rate = _PROCESSED.search(done.stdout), _RATE.search(done.stdout)
    if done.returncode != 0 or processed is None or rate is None:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DriverFailed(f"pgbench {script.name}: {said[-1]}")
    count = int(processed[1])
    return Pgbench(count, count / float(rate[1]))
