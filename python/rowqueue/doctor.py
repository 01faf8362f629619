"""What is wrong: what the database finds (rowqueue.doctor), and what only a client can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from rowqueue import calls, client
from rowqueue.jobs import Finding
from rowqueue.pooler import Pooler, find_pooler
from rowqueue.schema import newest_schema

Session = psycopg.Connection[Any]

_SEVERITIES = ("error", "warning", "notice")
_MOST_APART = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a client can find: as a row of ``rowqueue.finding_kinds``."""

    name: str
    severity: str
    found_when: str
    why: str

    def finding(self, what: str, remedy: str) -> Finding:
        """Returns a finding of this kind."""
        return Finding(self.severity, self.name, what, self.why, remedy)


SCHEMA_OLD = Kind(
    "schema_old",
    "warning",
    "the schema is older than the one that came with this package",
    "What has been mended or made faster since is not there, and calls of new functions fail.",
)
PACKAGE_OLD = Kind(
    "package_old",
    "notice",
    "the schema is newer than the one that came with this package",
    "It goes on working. Workers and producers are updated after the schema.",
)
CLOCK_DIFFERENCE = Kind(
    "clock_difference",
    "warning",
    "the clocks of this host and of the database are more than five seconds apart",
    "Leases and due times go by the database's clock and are right. A run_after that was reckoned"
    " on this host is not, and its log cannot be read beside the database's.",
)
POOLER = Kind(
    "pooler",
    "warning",
    "a pooler in transaction mode stands between this host and the database",
    "Notifications do not come through: an idle worker finds jobs at its next look, up to two"
    " seconds later.",
)
CLIENT_KINDS = (SCHEMA_OLD, PACKAGE_OLD, CLOCK_DIFFERENCE, POOLER)


def examine(dsn: str) -> list[Finding]:
    """Returns all that is wrong, errors first.

    Raises:
        psycopg.Error: the database is out of reach, has no schema, or the user may not ask.
    """
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as session:
        found = client.run(session, calls.doctor())
        found += schema_age(client.run(session, calls.version()), newest_schema())
        found += clock_difference(lambda: _time_in(session))
    found += pooler(find_pooler(make_conninfo(dsn)))
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def schema_age(here: str, newest: str) -> Iterator[Finding]:
    """Compares the version of the schema with that of this package."""
    if here < newest:
        yield SCHEMA_OLD.finding(
            f"the schema has version {here}, this package brings {newest}", "-- rowqueue migrate"
        )
    elif here > newest:
        yield PACKAGE_OLD.finding(
            f"the schema has version {here}, this package knows {newest}",
            "-- pip install --upgrade rowqueue",
        )


def clock_difference(
    ask: Callable[[], datetime], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """Compares the clocks; what the answer took on its way is allowed for."""
    before = now()
    there = ask()
    after = now()
    apart = max(there - after, before - there, timedelta(0))
    if apart > _MOST_APART:
        which = "behind" if there > after else "ahead of"
        yield CLOCK_DIFFERENCE.finding(
            f"the clock of this host is {apart.total_seconds():.0f} seconds {which} the database's",
            "-- Run chrony, or another client of NTP, on both hosts.",
        )


def pooler(found: Pooler) -> Iterator[Finding]:
    """Tells of a transaction pooler."""
    if found is Pooler.TRANSACTION:
        yield POOLER.finding(
            "a pooler in transaction mode stands between this host and the database",
            "-- Give workers a connection of their own, and producers the pooler.",
        )


def _time_in(session: Session) -> datetime:
    row = session.execute("select clock_timestamp()").fetchone()
    assert row is not None
    time: datetime = row[0]
    return time
