"""Every cell of the transition table, tried."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from lifecycle.transitions import TRANSITIONS, as_markdown
from support.calls import (
    NOBODY,
    Session,
    claim_one,
    enqueue,
    everything,
    refused,
    rows,
    stored,
    value,
)
from support.clock import Clock

STATUSES = {"pending", "running", "completed", "failed", "cancelled"}
LEAVES_AS_IT_IS = {"already", "lost", "cancel", "extended", "-"}
FUNCTIONS = list(dict.fromkeys(function for _, function in TRANSITIONS))
MORE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "fail_with_backoff": {"error": "e"},
    "report_progress": {"current": 1},
}


class Named(NamedTuple):
    """What a call names: a job, and the token that its caller believes to hold it with."""

    id: UUID
    token: int

    def arguments(self, function: str) -> dict[str, Any]:
        """Returns a function's arguments for this job."""
        if function == "claim_next":
            return {"worker": "w"}
        if function == "reap_stuck":
            return {}
        if function in ("complete_many", "extend_leases"):
            return {"job_ids": [self.id], "tokens": [self.token]}
        if function in ("cancel", "retry", "get_job"):
            return {"job_id": self.id}
        return {"job_id": self.id, "token": self.token, **MORE_ARGUMENTS.get(function, {})}


def claimed(session: Session, **arguments: Any) -> Named:
    """A running job with a lease of a minute."""
    enqueue(session, **arguments)
    held = claim_one(session, lease="1 minute")
    return Named(held.id, held.token)


def pending(session: Session, clock: Clock, detail: str) -> Named:
    """A pending job, and the token of the claim before, if there was one."""
    if detail == "(delayed)":
        return Named(enqueue(session, run_after=clock.now + timedelta(hours=1)), 1)
    held = claimed(session)
    how = "fail_with_backoff" if detail == "(retrying)" else "release"
    rows(session, how, **held.arguments(how))
    return held


def running(session: Session, clock: Clock, detail: str) -> Named:
    """A running job, in whichever of its conditions."""
    held = claimed(
        session,
        max_attempts=1 if "last attempt" in detail else 3,
        timeout_ms=30_000 if "timed out" in detail else 600_000,
    )
    if "cancel requested" in detail:
        value(session, "cancel", job_id=held.id)
    if "timed out" in detail:
        clock.advance(seconds=30)
    elif "expired" in detail:
        clock.advance(minutes=1)
    return held


def finished(session: Session, status: str) -> Named:
    """A finished job, and the token of its claim."""
    held = claimed(session)
    if status == "completed":
        rows(session, "complete", **held.arguments("complete"))
    elif status == "failed":
        rows(session, "fail_with_backoff", retry=False, **held.arguments("fail_with_backoff"))
    else:
        value(session, "cancel", job_id=held.id)
        value(session, "cancel", job_id=held.id)
    return held


def reached(session: Session, clock: Clock, status: str) -> Named:
    """Brings a job into a status of the table, and returns what the call should name."""
    if status == "no such job":
        return Named(NOBODY, 1)
    kind, _, detail = status.replace(",", "", 1).partition(" ")
    if kind == "pending":
        named = pending(session, clock, detail)
    elif kind == "running":
        named = running(session, clock, detail)
    else:
        named = finished(session, kind)
    assert stored(session, named.id).status == kind
    return named._replace(token=named.token + 1) if detail == "other token" else named


@pytest.mark.parametrize(
    ("status", "function"), TRANSITIONS, ids=[" -> ".join(cell) for cell in TRANSITIONS]
)
def test_the_job_becomes_what_the_table_says(tx, clock, status, function):
    outcome = TRANSITIONS[status, function]
    named = reached(tx, clock, status)
    before = everything(tx)
    clock.advance(seconds=1)

    if outcome.startswith("RQ"):
        with refused(tx, outcome):
            rows(tx, function, **named.arguments(function))
        assert everything(tx) == before
        return

    answer = rows(tx, function, **named.arguments(function))
    if outcome in LEAVES_AS_IT_IS:
        assert answer == ([] if outcome == "-" else [(named.id, outcome)])
        if outcome in ("cancel", "extended"):
            before = [row._replace(lease_until=clock.now + timedelta(minutes=1)) for row in before]
        assert everything(tx) == before
    else:
        assert outcome in STATUSES
        assert stored(tx, named.id).status == outcome
        said = [word for row in answer for word in row if isinstance(word, str)]

        assert STATUSES & set(said) <= {outcome}


def test_the_table_has_every_function_that_takes_a_job_id(shared_db):
    """A new function is a new column: this fails until it has one."""
    found = shared_db.execute(
        "select proname from pg_proc where pronamespace = 'rowqueue'::regnamespace"
        " and proname !~ '^_' and proargnames && '{job_id,job_ids}'"
    )
    assert {row.proname for row in found} <= set(FUNCTIONS)


def test_every_function_has_a_cell_for_every_status():
    with_token = {status for status, function in TRANSITIONS if function == "complete"}
    without_token = {re.sub(", (same|other) token$", "", status) for status in with_token}
    assert {status.split()[0] for status in without_token} == {*STATUSES, "no"}
    for function in FUNCTIONS:
        statuses = {status for status, column in TRANSITIONS if column == function}
        assert statuses in (with_token, without_token), function


def test_the_table_prints_as_markdown():
    text = as_markdown()
    for function in FUNCTIONS:
        assert f"`{function}`" in text
    assert "\n| running (last attempt) | completed | completed | failed | pending |\n" in text
    assert text.count("\n| no such job |") == 3
