"""What there is to know about a database, before and after a run.

`look` fetches it, with no more rights than a worker has; what such a user may not see is None.
The findings judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rowqueue.benchmark.place import Place
from rowqueue.jobs import Finding


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting.

    Attributes:
        text: as people write it.
        number: in bytes, in seconds, or as it is; 0 for what is no number.
    """

    text: str
    number: float


@dataclass(frozen=True, slots=True)
class Holder:
    """A session with a snapshot or a transaction id.

    Attributes:
        pid: its process.
        user: whose it is.
        application: what it calls itself.
        here: whether it is in this database, or a replica's, which counts everywhere.
        state: what it is doing; None where that is hidden from us.
        held_for: how long its transaction has been open; None where that is hidden.
        xid: its transaction id, if it has written.
        xmin: the oldest transaction that its snapshot can see.
    """

    pid: int
    user: str
    application: str
    here: bool
    state: str | None
    held_for: timedelta | None
    xid: str | None
    xmin: str | None


@dataclass(frozen=True, slots=True)
class Counters:
    """What the server counts.

    Attributes:
        forced_checkpoints: those that came since so much was written, or since someone asked.
        timed_checkpoints: those that came when it was time.
        wal_bytes: what was written to the log.
        page_images: whole pages in it.
    """

    forced_checkpoints: int
    timed_checkpoints: int
    wal_bytes: int
    page_images: int


@dataclass(frozen=True, slots=True)
class Look:
    """The database at one moment.

    Attributes:
        version: the server's, such as ``16.4``.
        schema: the version of the schema.
        settings: by name.
        holders: sessions with a snapshot or a transaction id.
        counters: what the server counts.
        connections: how many clients are connected, to whichever database.
        others: those of them that are not the benchmark's.
        workers: how many other workers are connected.
        notify: whether notifications are switched on.
        notify_queue: how full the server's queue of notifications is, 0 to 1.
        sees_ticks: whether this user may see when `tick` was called.
        ticked: how long ago it looked below the floors; None when it never did, or is hidden.
        doctor: what ``doctor()`` finds; None where this user may not ask.
    """

    version: str
    schema: str
    settings: Mapping[str, Setting]
    holders: Sequence[Holder]
    counters: Counters
    connections: int
    others: int
    workers: int
    notify: bool
    notify_queue: float
    sees_ticks: bool
    ticked: timedelta | None
    doctor: Sequence[Finding] | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run came to know.

    Attributes:
        place: where it ran.
        before: the database before it.
        after: the database after it.
        seconds: how long that took.
        round_trip: milliseconds for a call that does nothing.
        commit: milliseconds for a commit.
        newest_schema: the version of the schema that came with this package.
    """

    place: Place
    before: Look
    after: Look
    seconds: float
    round_trip: float
    commit: float
    newest_schema: str

    @property
    def settings(self) -> Mapping[str, Setting]:
        """The settings, by name."""
        return self.after.settings

    def grown(self, counter: Callable[[Counters], int]) -> int:
        """Returns by how much a counter has grown."""
        return counter(self.after.counters) - counter(self.before.counters)
