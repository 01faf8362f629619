"""Two servers, one the standby of the other, that change places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from servers.node import Node, install_on
from support.server import own_version
from support.waiting import eventually


class Pair:
    """A primary and its standby.

    Attributes:
        primary: the server that writes.
        standby: the one that follows, or that was the primary before.
    """

    def __init__(self, *, synchronous: bool, version: str | None = None) -> None:
        """Describes both; `start` makes them."""
        settings: dict[str, str | int] = {
            "synchronous_standby_names": "*" if synchronous else "",
            "wal_receiver_status_interval": 1,
        }
        self._synchronous = synchronous
        self.primary = Node(version or own_version(), settings)
        self.standby = Node(version or own_version(), settings)

    @property
    def dsn(self) -> str:
        """The connection string of whichever of the two writes; both must have been started."""
        one, other = sorted((urlsplit(self.primary.url), urlsplit(self.standby.url)))
        return (
            f"postgresql://{one.netloc},{other.netloc.rpartition('@')[2]}/postgres"
            "?target_session_attrs=read-write&connect_timeout=5"
        )

    def start(self) -> None:
        """Starts both and installs the schema."""
        self.primary.start()
        self.standby.copy(self.primary)
        install_on(self.primary)
        self.until_in_step()

    def fail_over(self) -> None:
        """Kills the primary, and lets the standby take its place."""
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Makes the former primary the standby."""
        self.standby.stop()
        self.standby.copy(self.primary)
        self.until_in_step()

    def until_in_step(self) -> None:
        """Returns once the standby has caught up, and is waited for if that is the mode."""
        wanted = "sync" if self._synchronous else "async"
        with self.primary.connect() as session:

            def in_step() -> bool:
                row = session.execute(
                    "select sync_state, state from pg_stat_replication"
                    " where application_name = 'walreceiver'"
                ).fetchone()
                return row == (wanted, "streaming")

            eventually(in_step, what="the standby to follow")

    def remove(self) -> None:
        """Removes both."""
        self.primary.remove()
        self.standby.remove()


@contextmanager
def own_pair(*, synchronous: bool) -> Iterator[Pair]:
    """Yields two running servers for one test, with the schema in them."""
    pair = Pair(synchronous=synchronous)
    try:
        pair.start()
        yield pair
    finally:
        pair.remove()
