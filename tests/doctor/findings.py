"""Asking doctor(), and doing what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from support.calls import Session, rows
from support.clock import Clock, own_clock


def found(session: Session, name: str) -> list[Any]:
    """Returns the findings of this name."""
    return [finding for finding in rows(session, "doctor") if finding.name == name]


def one(session: Session, name: str) -> Any:
    """Returns the only finding of this name."""
    [finding] = found(session, name)
    return finding


def heal(session: Session, finding: Any) -> None:
    """Does what the remedy says, a statement at a time, as psql would."""
    remedy = finding.remedy
    statements = [remedy] if "$" in remedy else remedy.partition(" --")[0].split("; ")
    for statement in statements:
        session.execute(statement)


def healed(session: Session, name: str) -> bool:
    """Does what the remedies of all findings of this name say; whether none is left then."""
    for finding in found(session, name):
        heal(session, finding)
    return not found(session, name)


def present_clock(session: Session) -> Clock:
    """A clock of our own that starts now: what the server has dated is not old yet."""
    return own_clock(session, datetime.now(UTC))
