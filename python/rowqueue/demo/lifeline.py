"""Lets a worker end with the demo, however that ends."""

from __future__ import annotations

import os
import signal
import sys
import threading


def hold() -> None:
    """Ends this process, as SIGTERM does, once whoever holds the other end of stdin is gone."""
    threading.Thread(target=_wait_for_the_end, name="demo-lifeline", daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
