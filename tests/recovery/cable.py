"""A network with a cable in it that can be pulled: a namespace of its own, joined by a veth."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_network = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="makes a network namespace, which needs root and iproute2's ip",
)


class Cable:
    """What joins the machine and a host beside it.

    Attributes:
        here: the machine's address on it.
        subnet: its addresses, as pg_hba.conf has them.
    """

    def __init__(self) -> None:
        """Makes the other host and joins it."""
        number = os.getpid() % (1 << 14)
        self.here = f"169.254.{number >> 6}.{(number & 63) * 4 + 1}"
        there = f"169.254.{number >> 6}.{(number & 63) * 4 + 2}"
        self.subnet = f"{there}/32"
        self._host = f"rowqueue-{os.getpid()}"
        self._end, far_end = f"rq{os.getpid()}a", f"rq{os.getpid()}b"
        _ip("netns", "add", self._host)
        _ip("link", "add", self._end, "type", "veth", "peer", "name", far_end)
        _ip("link", "set", far_end, "netns", self._host)
        _ip("addr", "add", f"{self.here}/30", "dev", self._end)
        _ip("link", "set", self._end, "up")
        _ip("-n", self._host, "addr", "add", f"{there}/30", "dev", far_end)
        _ip("-n", self._host, "link", "set", far_end, "up")
        _ip("-n", self._host, "link", "set", "lo", "up")

    @property
    def on_the_host(self) -> list[str]:
        """What stands before a command that runs on the other host."""
        return ["ip", "netns", "exec", self._host]

    def pull(self) -> None:
        """Cuts the host off: nothing comes through, and nobody is told."""
        _ip("link", "set", self._end, "down")

    def plug(self) -> None:
        """Joins it again."""
        _ip("link", "set", self._end, "up")

    def remove(self) -> None:
        """Removes the host; the cable goes with it."""
        _ip("netns", "delete", self._host)
        subprocess.run(["ip", "link", "delete", self._end], capture_output=True, check=False)


@contextmanager
def cable() -> Iterator[Cable]:
    """Yields a cable for one test."""
    joined = Cable()
    try:
        yield joined
    finally:
        joined.remove()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
