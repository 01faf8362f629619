"""Checkpoints, the log, and the memory of the server."""

from __future__ import annotations

from collections.abc import Iterator

from rowqueue.benchmark.facts import Facts
from rowqueue.benchmark.findings.finding import Finding, Judge, Level, fine, set_to, shown

_MIB = 1 << 20
_GIB = 1 << 30
_LEAST_WAL = _GIB
_ROOMY = 8 * _GIB
_LEAST_BUFFERS = 128 * _MIB
_PAGE = 8192
_OFTEN = 15.0
_IMAGES_TOO_MANY = 0.5
_WAL_WORTH_A_LOOK = 64 * _MIB


def max_wal_size(facts: Facts) -> Iterator[Finding]:
    """A log that fills up too soon forces a checkpoint, after which each page is logged whole."""
    name = "max_wal_size"
    forced = facts.grown(lambda counters: counters.forced_checkpoints)
    small = facts.settings[name].number < _LEAST_WAL
    if not forced and not small:
        yield fine(name, shown(facts, name))
        return
    written = facts.grown(lambda counters: counters.wal_bytes) / _MIB
    came = "a checkpoint" if forced == 1 else f"{forced} checkpoints"
    happened = (
        f"In {facts.seconds:.0f} s, with {written:,.0f} MB of log, {came} came too soon. "
        if forced
        else ""
    )
    yield Finding(
        name,
        Level.BAD if forced and facts.seconds / forced < _OFTEN else Level.WARN,
        shown(facts, name),
        f"{happened}After a checkpoint, the first change of each page writes the whole page to the"
        " log: rates sink and latencies rise.",
        set_to(name, f"'{max(_ROOMY, 2 * facts.settings[name].number) / _GIB:.0f}GB'"),
    )


def wal_compression(facts: Facts) -> Iterator[Finding]:
    """Whole pages in the log can be compressed."""
    name = "wal_compression"
    written = facts.grown(lambda counters: counters.wal_bytes)
    images = facts.grown(lambda counters: counters.page_images) * _PAGE
    much = written > _WAL_WORTH_A_LOOK and images > _IMAGES_TOO_MANY * written
    if facts.settings[name].text != "off" or not much:
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.WARN,
        shown(facts, name),
        f"Whole pages are {min(images / written, 1):.0%} of the log that was written meanwhile."
        " Compressed, they take a fraction of it, for a little processor time.",
        set_to(name, "on"),
    )


def shared_buffers(facts: Facts) -> Iterator[Finding]:
    """The live jobs and their indexes should stay in memory."""
    name = "shared_buffers"
    if facts.settings[name].number >= _LEAST_BUFFERS:
        yield fine(name, shown(facts, name))
        return
    yield Finding(
        name,
        Level.WARN,
        shown(facts, name),
        "The live jobs and their indexes don't stay in memory when much is waiting. A quarter of"
        " the machine's memory is usual. It takes effect after a restart.",
        f"alter system set {name} = '1GB';",
    )


JUDGES: tuple[Judge, ...] = (max_wal_size, wal_compression, shared_buffers)
