"""The torture run in small: every fault once. CI runs a larger one, `make torture` the real one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.server import own_version
from support.workers import TESTS
from torture.database import clock_library

_VALID = 0
_VOID = 2
"""Valid, but some of what may happen by chance in a run did not: so short a run may be that."""


def _torture(*options: str) -> tuple[int, str]:
    """Runs it and returns its exit code and what it said."""
    path = os.pathsep.join([str(TESTS), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "torture", "--pg", own_version(), *options],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=170,
    )
    return done.returncode, done.stdout


def test_nothing_is_lost_under_any_fault() -> None:
    code, said = _torture("--jobs", "3000", "--seed", "4", "--pace", "0.3")
    assert code in (_VALID, _VOID), said


@pytest.mark.skipif(clock_library() is None, reason="libfaketime is not installed")
def test_nothing_is_lost_when_the_clock_jumps() -> None:
    options = ("--jobs", "2000", "--seed", "4", "--pace", "0.5")
    code, said = _torture(*options, "--faults", "clock_jump,sigkill,sigstop,reset,retry")
    assert code in (_VALID, _VOID), said
