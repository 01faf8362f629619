"""The operating system's user that the server runs as.

PostgreSQL refuses to run as root, so root runs it as ``nobody``; everybody else as himself.
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowqueue.embedded.errors import EmbeddedError


@dataclass(frozen=True, slots=True)
class Account:
    """A user who runs the server's programs."""

    uid: int
    gid: int
    name: str

    @classmethod
    def for_server(cls) -> Account:
        """Returns this process's own user, or ``nobody`` for root."""
        uid = os.geteuid()
        if uid:
            return cls(uid, os.getegid(), str(uid))
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedError(
                "PostgreSQL refuses to run as root, and there is no user nobody to run it as"
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid, nobody.pw_name)

    @property
    def is_other(self) -> bool:
        """Whether this is another user than the one of this process."""
        return self.uid != os.geteuid()

    def popen(self) -> dict[str, Any]:
        """Returns the arguments with which ``subprocess`` runs a program as this user.

        The environment is cut to what a server needs, so that it neither follows a stray
        ``PGPORT`` nor shows another user what this process was given in confidence.
        """
        options: dict[str, Any] = {"env": {"PATH": os.defpath, "LC_ALL": "C"}, "cwd": "/"}
        if self.is_other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def can_run(self, *command: str | Path) -> bool:
        """Tells by trying whether this user reaches a program and whether it exits with 0."""
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **self.popen()
            )
        except OSError as error:
            if error.errno == errno.EPERM:
                raise EmbeddedError(f"cannot run a program as user {self.name}: {error}") from None
            return False
        return done.returncode == 0
