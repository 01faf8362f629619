"""The flight recorder: the database's own account of each job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

_SCRIPT = Path(__file__).with_name("recorder.sql")


def install(db: psycopg.Connection[Any]) -> None:
    """Puts it into a database with the schema, before the first job."""
    db.execute(_SCRIPT.read_bytes())
