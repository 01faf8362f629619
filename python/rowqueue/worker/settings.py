"""What a worker is told when it is made, checked once."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

MAX_CLAIM = 1000
"""The most jobs that one call of claim_next hands out."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A worker's settings; `Worker` explains each.

    Raises:
        ValueError: one is out of range; the message names it.
    """

    dsn: str
    queues: Sequence[str]
    concurrency: int
    name: str
    lease: timedelta
    poll_interval: timedelta
    prefetch: int
    shutdown_grace: timedelta
    cancel_grace: timedelta
    unknown_delay: timedelta
    max_abandoned_threads: int
    pooler: bool | None
    watchdog: timedelta | None

    def __post_init__(self) -> None:
        if isinstance(self.queues, str) or not 1 <= len(self.queues) <= 100:
            raise ValueError("queues must be a sequence of 1 to 100 names")
        if self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        if not 0 <= self.prefetch <= MAX_CLAIM:
            raise ValueError(f"prefetch must be between 0 and {MAX_CLAIM}")
        if not 1 <= len(self.name.encode()) <= 200:
            raise ValueError("name must have 1 to 200 bytes")
        if not timedelta(milliseconds=100) <= self.lease <= timedelta(days=1):
            raise ValueError("lease must be between 100 milliseconds and a day")
        if self.poll_interval <= timedelta(0):
            raise ValueError("poll_interval must be more than nothing")
        if self.max_abandoned_threads < 0:
            raise ValueError("max_abandoned_threads must not be negative")
        if self.watchdog is not None and self.watchdog < timedelta(milliseconds=100):
            raise ValueError("watchdog must be at least 100 milliseconds, or None")
        for name in ("shutdown_grace", "cancel_grace", "unknown_delay"):
            if getattr(self, name) < timedelta(0):
                raise ValueError(f"{name} must not be negative")


def default_name() -> str:
    """Returns host, process and four random digits: unlike that of any worker before."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
