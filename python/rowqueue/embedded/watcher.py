"""Stops the server of a process that ended without stopping it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Reads what the starting process writes into a pipe: the server's pid, later "stopped". The
# pipe closes however that process ends, SIGKILL included, and the word read last tells whether
# a server is left to stop. The pid file is asked too, lest the pid is somebody else's by now.
_SCRIPT = """
while read -r word; do last=$word; done
[ "$last" = stopped ] && exit
if [ -n "$last" ] && [ "$(head -n 1 "$1/data/postmaster.pid")" = "$last" ]; then
    kill -INT "$last"
    while kill -0 "$last" && [ $((turn += 1)) -le 300 ]; do sleep 0.1; done
fi
[ "$2" = temporary ] && rm -rf -- "$1"
"""


class Watcher:
    """A small process beside the server that outlives the one that started both."""

    def __init__(self, folder: Path, *, temporary: bool) -> None:
        """Starts it.

        Args:
            folder: the server's folder.
            temporary: whether to remove the folder in the end.
        """
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", folder, "temporary" if temporary else "kept"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Says which server there is to stop."""
        self._write(str(pid))

    def dismiss(self) -> None:
        """Ends it, leaving everything as it is."""
        self._write("stopped")
        self._process.communicate()

    def _write(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
