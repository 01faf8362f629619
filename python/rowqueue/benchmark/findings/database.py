"""What ``doctor()`` finds: it knows what is wrong with a database whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine

_LEVELS = {"error": Level.BAD, "warning": Level.WARN, "notice": Level.OK}
_SEEN_BY_THE_RUN = ("transaction_idle", "transaction_old", "transaction_hidden")
"""What the horizon judges from two looks, and sooner."""


def doctor(facts: Facts) -> Iterator[Finding]:
    """Tells what was wrong before the run: what the run itself leaves behind is no finding."""
    name = "doctor"
    if facts.before.doctor is None:
        yield fine(name, "doctor() is not for this user: it takes rowqueue_observer")
        return
    found = [one for one in facts.before.doctor if one.name not in _SEEN_BY_THE_RUN]
    if not found:
        yield fine(name, "doctor() finds nothing")
    for one in found:
        level = _LEVELS[one.severity]
        why, remedy = (one.why, one.remedy) if level is not Level.OK else ("", "")
        yield Finding(name, level, f"{one.name}: {one.what}", why, remedy)


JUDGES: tuple[Judge, ...] = (doctor,)
