"""Asking a server for one row."""

from __future__ import annotations

from typing import Any

from psycopg.abc import Params

from support.calls import Session


def ask(db: Session, query: str, params: Params | None = None) -> Any:
    """Returns the only row of a query's answer."""
    [row] = db.execute(query, params).fetchall()
    return row
