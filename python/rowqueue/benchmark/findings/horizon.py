"""What is old and open, and so keeps dead rows where they are and floors from rising."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from rowqueue.benchmark.facts import Facts, Holder
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine
from rowqueue.text import clean

_OLD = timedelta(seconds=30)
_VERY_OLD = timedelta(minutes=10)
_LEAST = timedelta(seconds=10)
_NAMED = 3
"""How many are named; the first ones to go are the oldest."""

_KEEPS_ROWS = (
    "As long as it lasts, no row that has died since it began can be cleared away, in any table of"
    " this database."
)
_READS = f"{_KEEPS_ROWS} Claims go by floors and stay fast; other queries walk over those rows."
_HAS_WRITTEN = (
    f"{_KEEPS_ROWS} It has written, so floors can't rise either: claims, too, walk over those rows."
)


def snapshots(facts: Facts) -> Iterator[Finding]:
    """Sessions that hold a snapshot or a transaction open here, each by name."""
    name = "held snapshot"
    old = _old(facts, [holder for holder in facts.after.holders if holder.here])
    if not old:
        yield fine(name, "no snapshot held open")
    for holder, age in old[:_NAMED]:
        level, why = (Level.BAD, _HAS_WRITTEN) if holder.xid else (_level(age), _READS)
        yield Finding(name, level, _who(holder, age), why, _end(holder))


def transactions(facts: Facts) -> Iterator[Finding]:
    """Sessions with an old transaction that has written, in other databases: floors wait for it."""
    name = "old transaction"
    old = _old(facts, [one for one in facts.after.holders if one.xid and not one.here])
    if not old:
        yield fine(name, "no old transaction elsewhere")
    for holder, age in old[:_NAMED]:
        yield Finding(
            name,
            _level(age),
            f"{_who(holder, age)}, in another database",
            "Floors can't rise until it ends, for transaction ids count for the whole server."
            " Claims then walk over what autovacuum has not cleared away yet.",
            _end(holder),
        )


def _old(facts: Facts, holders: Sequence[Holder]) -> list[tuple[Holder, timedelta]]:
    """Returns those that have been open for long, with how long; the oldest snapshot first."""
    ages = [(holder, _held_for(facts, holder)) for holder in holders]
    return [(holder, age) for holder, age in ages if age >= _OLD or _all_along(facts, holder)]


def _all_along(facts: Facts, holder: Holder) -> bool:
    """Whether it was there before the run, which took a while."""
    return _seen_before(facts, holder) and timedelta(seconds=facts.seconds) >= _LEAST


def _held_for(facts: Facts, holder: Holder) -> timedelta:
    """Returns how long it has been open; where that is hidden, how long we have seen it."""
    if holder.held_for is not None:
        return holder.held_for
    return timedelta(seconds=facts.seconds if _seen_before(facts, holder) else 0)


def _seen_before(facts: Facts, holder: Holder) -> bool:
    """Whether the same session held the same before the run."""
    held = (holder.pid, holder.xmin, holder.xid)
    return held in {(before.pid, before.xmin, before.xid) for before in facts.before.holders}


def _level(age: timedelta) -> Level:
    return Level.BAD if age >= _VERY_OLD else Level.WARN


def _who(holder: Holder, age: timedelta) -> str:
    at_least = "" if holder.held_for is not None else "at least "
    known = [f"user {clean(holder.user)}"]
    if holder.application:
        known.append(f"application {clean(holder.application)}")
    if holder.state:
        known.append(holder.state)
    return f"pid {holder.pid} ({', '.join(known)}), for {at_least}{_words(age)}"


def _end(holder: Holder) -> str:
    return f"select pg_terminate_backend({holder.pid});"


def _words(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours" if seconds < 172_800 else f"{seconds // 86_400} days"


JUDGES: tuple[Judge, ...] = (snapshots, transactions)
