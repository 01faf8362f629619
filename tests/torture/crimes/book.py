"""The book that crimes are written into, and what many of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from torture.play import Play

Crime = Callable[[Play], object]

# Parts of an UPDATE that does what a function does, or nearly.
CLAIM = (
    "status = 'running', token = nextval('rowqueue.tokens'), started_at = clock_timestamp(), "
    "ticket = coalesce(ticket, nextval('rowqueue.tickets')), "
    "lease_until = clock_timestamp() + interval '1 minute', attempts = attempts + 1"
)
GIVE_BACK = "status = 'pending', token = null, lease_until = null, started_at = null"
CRASH = "crashes = crashes + 1, lease_until = clock_timestamp()"
LATER = datetime.now(UTC) + timedelta(days=1)
FAILED = "status = 'failed', completed_at = clock_timestamp()"


class Book(dict[str, Crime]):
    """Crimes, by the invariant and rule of the check that must notice them."""

    def against(self, check: str) -> Callable[[Crime], Crime]:
        """Writes down the crime below it."""

        def note(crime: Crime) -> Crime:
            assert check not in self
            self[check] = crime
            return crime

        return note
