"""Options that several commands have, and the database that they name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowqueue.client import Queue

Command = TypeVar("Command", bound=Callable[..., Any])

_KEY = "rowqueue.dsn"
_VARIABLES = ("ROWQUEUE_DSN", "DATABASE_URL")
_CONNECT_TIMEOUT = 10


def _remember(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        context.meta[_KEY] = value


dsn_option = click.option(
    "--dsn",
    metavar="DSN",
    expose_value=False,
    callback=_remember,
    help="The database, such as postgresql://user@host/db. If left out: $ROWQUEUE_DSN, then "
    "$DATABASE_URL, then libpq's own variables (PGHOST, PGDATABASE, …).",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

job_argument = click.argument("job_id", type=click.UUID, metavar="JOB_ID")


def examples(*lines: str) -> str:
    """Returns the end of a help text: lines that click is to leave as they stand."""
    paragraphs = "\n".join(f"  {line}".rstrip() for line in lines).split("\n\n")
    return "\b\nExamples:\n" + "\n\n\b\n".join(paragraphs)


def given_dsn() -> str | None:
    """Returns the connection string that was given, or None when libpq's variables are to say."""
    given = click.get_current_context().meta.get(_KEY)
    found = given or next((value for name in _VARIABLES if (value := os.environ.get(name))), None)
    # The form that SQLAlchemy wants names a driver, which libpq does not understand.
    return re.sub(r"^(postgres(?:ql)?)\+\w+:", r"\1:", found) if found else None


def conninfo() -> str:
    """Returns the connection string of the database to use, which does not wait for a dead host."""
    given = conninfo_to_dict(given_dsn() or "")
    defaults: dict[str, Any] = {"fallback_application_name": "rowqueue"}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = _CONNECT_TIMEOUT
    return make_conninfo(**{**defaults, **given})


@contextmanager
def open_queue() -> Iterator[Queue]:
    """Yields the queue on one connection in autocommit."""
    with psycopg.connect(conninfo(), autocommit=True, prepare_threshold=None) as connection:
        yield Queue(connection)
