"""Every cell of the transition table, tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from lifecycle.transitions import TRANSITIONS, as_markdown
from support.calls import NOBODY, claim_one, enqueue, everything, rows, stored, value

STATUSES = {"pending", "running", "completed", "failed", "cancelled"}
SAID_OF_A_JOB_LEFT_AS_IT_IS = {"already", "lost", "cancel", "extended", "-"}
FUNCTIONS = list(dict.fromkeys(function for _, function in TRANSITIONS))
LEASE = timedelta(minutes=1)


class Named(NamedTuple):
    """What a call names: a job, and the token that its caller believes to hold it with."""

    id: UUID
    token: int


@pytest.fixture
def reach(tx, clock):
    """Brings a job into a status, and returns what a call should name."""

    def claimed(**arguments) -> Named:
        enqueue(tx, **arguments)
        held = claim_one(tx, lease=LEASE)
        return Named(held.id, held.token)

    def running(condition: str) -> Named:
        attempts = 1 if "last attempt" in condition else 3
        timeout_ms = 30_000 if "timeout ran out" in condition else 600_000
        held = claimed(max_attempts=attempts, timeout_ms=timeout_ms)
        if "cancel requested" in condition:
            value(tx, "cancel", job_id=held.id)
        if "timeout ran out" in condition:
            clock.advance(seconds=30)
        elif "ran out" in condition:
            clock.advance(LEASE)
        return held

    def pending(condition: str) -> Named:
        if condition == "(delayed)":
            return Named(enqueue(tx, run_after=clock.now + timedelta(hours=1)), 1)
        held = claimed()
        if condition == "(retrying)":
            value(tx, "fail_with_backoff", **held._asdict_of_a_call(), error="e")
        else:
            rows(tx, "release", **held._asdict_of_a_call())
        return held

    return reach
