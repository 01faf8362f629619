"""The queue itself: its schema, its upkeep, its notifications."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine

_TICKED_LATELY = timedelta(minutes=2)
_FULL = 0.5


def schema(facts: Facts) -> Iterator[Finding]:
    """Whether the schema is that of this package."""
    name = "schema"
    seen = f"schema {facts.after.schema}"
    if facts.after.schema >= facts.newest_schema:
        yield fine(name, seen)
        return
    yield Finding(
        name,
        Level.WARN,
        f"{seen}; this package brings {facts.newest_schema}",
        "Newer versions are faster, and what was measured here is the old one.",
        "rowqueue migrate",
    )


def notifications(facts: Facts) -> Iterator[Finding]:
    """Without them, an idle worker finds a job at its next poll."""
    name = "notifications"
    if not facts.after.notify:
        yield Finding(
            name,
            Level.WARN,
            "notifications are switched off",
            "An idle worker finds a new job at its next look, up to two seconds later. Under load"
            " it makes no difference.",
            "select rowqueue.set_notify(true);",
        )
    elif facts.after.notify_queue >= _FULL:
        yield Finding(
            name,
            Level.BAD,
            f"the server's queue of notifications is {facts.after.notify_queue:.0%} full",
            "rowqueue sends none while it is that full, and when it is full, every NOTIFY in the"
            " database fails. Some session listens and sits in a transaction: the oldest one.",
            "select pid, usename, application_name, xact_start from pg_stat_activity"
            " order by xact_start limit 1;",
        )
    else:
        yield fine(name, "notifications on")


def ticks(facts: Facts) -> Iterator[Finding]:
    """Somebody has to call `tick`; on a server of our own, nobody is expected to."""
    name = "tick"
    last = facts.before.ticked
    if facts.before.workers or facts.place.own:
        yield fine(name, "tick() is called by workers")
    elif last is not None and last <= _TICKED_LATELY:
        yield fine(name, "tick() is called")
    elif not facts.before.sees_ticks:
        yield fine(name, "who calls tick() is hidden from this user")
    else:
        ago = "never been called" if last is None else f"not been called for {_minutes(last)}"
        yield Finding(
            name,
            Level.WARN,
            f"tick() has {ago}, and no worker is connected",
            "Jobs of a worker that died stay running, and floors don't rise.",
            "select rowqueue.tick(); -- every few seconds: by a worker, pg_cron or cron",
        )


def _minutes(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


JUDGES: tuple[Judge, ...] = (schema, notifications, ticks)
