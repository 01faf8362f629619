"""A disk of a few megabytes, which can be filled and then grown. Only root can make one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rowqueue.embedded import Account
from rowqueue.embedded.cluster import temporary_folder


class Disk:
    """A file system of limited size.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def grow(self, megabytes: int) -> None:
        """Makes room on it."""
        _mount("-o", f"remount,size={megabytes}m", self.path)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """Yields a disk that belongs to the server's user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    account = Account.for_server()
    path = temporary_folder([], account)
    owner = f"uid={account.uid},gid={account.gid},mode=700"
    try:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,{owner}", "tmpfs", path)
    except subprocess.CalledProcessError as error:
        path.rmdir()
        pytest.skip(f"needs to mount a small disk: {error.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
        path.rmdir()


def _mount(*args: str | Path) -> None:
    subprocess.run(["mount", *args], check=True, capture_output=True, text=True)
