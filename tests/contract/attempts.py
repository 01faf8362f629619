"""A call of every public function, and how it fares for a role."""

from __future__ import annotations

from typing import Any

import psycopg

from support.calls import NOBODY, Session, rows

# A call of every public function; each is allowed to whom its comment names.
CALLS: dict[str, dict[str, Any]] = {
    "enqueue": {"job_type": "sync", "unique_key": "a"},
    "enqueue_many": {"jobs": '[{"job_type": "sync", "payload": {"a": 1}}]'},
    "claim_next": {"worker": "w", "max_jobs": 2},
    "complete": {"job_id": NOBODY, "token": 1, "result": "1"},
    "complete_many": {"job_ids": [NOBODY], "tokens": [1], "results": "{1}"},
    "fail_with_backoff": {"job_id": NOBODY, "token": 1, "error": "e"},
    "report_progress": {"job_id": NOBODY, "token": 1, "current": 1},
    "extend_lease": {"job_id": NOBODY, "token": 1},
    "extend_leases": {"job_ids": [NOBODY], "tokens": [1]},
    "release": {"job_id": NOBODY, "token": 1},
    "cancel": {"job_id": NOBODY},
    "retry": {"job_id": NOBODY},
    "reap_stuck": {},
    "tick": {},
    "tick_every": {"period": "1 second"},
    "mark_idle": {},
    "get_job": {"job_id": NOBODY},
    "list_jobs": {"status": "pending"},
    "health": {},
    "version": {},
    "purge_finished": {},
    "set_notify": {"enabled": True},
    "grant_roles": {},
    "confirm_identity": {},
    "doctor": {},
}


def said(session: Session, function: str) -> str | None:
    """Makes a call and undoes it; returns its SQLSTATE, None if it succeeds."""
    try:
        with session.transaction(force_rollback=True):
            rows(session, function, **CALLS[function])
    except psycopg.Error as error:
        return error.sqlstate
    return None


def act_as(session: Session, role: str) -> None:
    """Takes on a role with nothing but what the role itself has."""
    session.execute(f"set role {role}")
