"""Runs each tool, prints what it found beyond ``exceptions.toml``, and what could not be run.

``python -m analysis [--tools FOLDER]``, with ``.ci`` on the path: see ``make analyse``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from analysis import pgspot, pip_audit, plpgsql_check, squawk
from analysis.findings import Finding, Unavailable, exceptions, judge
from analysis.toolbox import Toolbox

_TOOLS: dict[str, Callable[[Toolbox], Iterator[Finding]]] = {
    "plpgsql_check": plpgsql_check.findings,
    "pgspot": pgspot.findings,
    "squawk": squawk.findings,
    "pip-audit": pip_audit.findings,
}


def main() -> int:
    """Returns 1 if a tool found something, or an exception is stale."""
    parser = argparse.ArgumentParser(prog="analysis", description=__doc__)
    parser.add_argument("--tools", type=Path, help="a folder to keep the tools in")
    folder = parser.parse_args().tools
    wrong = False
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tools = Toolbox(folder.absolute())
        for name, findings in _TOOLS.items():
            exempt = exceptions(name)
            try:
                found = list(findings(tools))
            except Unavailable as reason:
                print(f"{name}: NOT RUN: {reason}")
                continue
            left = list(judge(found, exempt))
            wrong = wrong or bool(left)
            print(f"{name}: {len(found)} findings, {len(left)} without an exception")
            print("".join(f"    {line}\n" for line in left), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
