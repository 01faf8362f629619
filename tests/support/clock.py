"""A clock that a test owns: rowqueue takes all its time from one function, replaced here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

# A Tuesday, far from the ends of its day, month and year, and later than any real run: ids may
# come from the server's own clock, and no job may finish before it was made.
START = datetime(2040, 5, 15, 12, 0, tzinfo=UTC)


class Clock:
    """The time as all sessions of one test database see it. It stands still until it is moved."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session

    @property
    def now(self) -> datetime:
        """What time it is."""
        row = self._session.execute("select now from public.test_clock").fetchone()
        assert row is not None
        now: datetime = row[0]
        return now

    def set(self, now: datetime) -> None:
        """Moves it to an instant, forwards or backwards."""
        self._session.execute("update public.test_clock set now = %s", [now])

    def advance(self, by: timedelta | None = None, /, **units: float) -> datetime:
        """Moves it by a duration: ``advance(seconds=2)``. Returns what time it is then."""
        self.set(self.now + (by or timedelta(**units)))
        return self.now


def own_clock(session: psycopg.Connection[Any], start: datetime = START) -> Clock:
    """Puts the clock of a session's database into the test's hands.

    The session needs the rights of the schema's owner, and moves the clock in whatever
    transaction it is in.
    """
    session.execute("create table public.test_clock (now timestamptz not null)")
    session.execute("insert into public.test_clock values (%s)", [start])
    session.execute(
        "create or replace function rowqueue._now() returns timestamptz language sql volatile"
        " as $$ select now from public.test_clock $$"
    )
    return Clock(session)
