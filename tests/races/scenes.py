"""Ways in which a transaction can be late, each with two or three sessions.

In each, a transaction does everything that draws a ticket or a due time, and claims, while others
work and tick; it ends late, or not as one would like.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from races.deeds import Deeds
from races.stage import Stage

MINUTE = timedelta(minutes=1)
Scene = Callable[[Stage, Deeds], None]


def late_commit(stage: Stage, deeds: Deeds) -> None:
    """It commits after other jobs have come and gone, and floors were raised."""
    late = _begun(stage)
    deeds.come_due()
    deeds.do(late)
    _meanwhile(stage, deeds)
    late.execute("commit")


def old_session(stage: Stage, deeds: Deeds) -> None:
    """Its session has drawn tickets and tokens before, and then others did."""
    late = stage.connect()
    late.execute("select rowqueue.enqueue('others', queue => 'others')")
    late.execute(
        "select rowqueue.complete(j.id, j.token) "
        "from rowqueue.claim_next('diligent', '{others}') as j"
    )
    for _ in range(2):
        deeds.others_work()
    deeds.come_due()
    deeds.do(late)


def late_rollback(stage: Stage, deeds: Deeds) -> None:
    """It rolls back instead: claims, releases and promotions are undone."""
    late = _begun(stage)
    deeds.come_due()
    deeds.do(late)
    _meanwhile(stage, deeds)
    late.execute("rollback")


def rollbacks_in_turn(stage: Stage, deeds: Deeds) -> None:
    """It rolls back, and another one that did the same after it does so too."""
    late, later = _begun(stage), _begun(stage)
    deeds.come_due()
    deeds.do(late)
    stage.pass_time(MINUTE)
    deeds.others_work()
    late.execute("rollback")
    deeds.do(later)
    stage.tick(4)
    later.execute("rollback")


def repeatable_read(stage: Stage, deeds: Deeds) -> None:
    """Its snapshot is older than all that the others did before it drew anything."""
    late = _begun(stage, "isolation level repeatable read")
    late.execute("select count(*) from rowqueue.jobs")
    for _ in range(3):
        deeds.others_work()
    deeds.come_due()
    deeds.do(late)
    _meanwhile(stage, deeds)
    late.execute("commit")


def serializable(stage: Stage, deeds: Deeds) -> None:
    """The same, serializable."""
    late = _begun(stage, "isolation level serializable")
    late.execute("select count(*) from rowqueue.lanes")
    deeds.come_due()
    deeds.do(late)
    _meanwhile(stage, deeds)
    late.execute("commit")


def savepoints(stage: Stage, deeds: Deeds) -> None:
    """It does everything, rolls back to a savepoint, and does it again within another."""
    late = _begun(stage)
    deeds.come_due()
    late.execute("savepoint first")
    deeds.do(late)
    late.execute("rollback to savepoint first")
    late.execute("savepoint second")
    deeds.do(late)
    late.execute("release savepoint second")
    _meanwhile(stage, deeds)
    late.execute("commit")


def rolled_back_savepoint(stage: Stage, deeds: Deeds) -> None:
    """It does everything in a savepoint, rolls back to it, and commits late."""
    late = _begun(stage)
    deeds.come_due()
    late.execute("savepoint first")
    deeds.do(late)
    late.execute("rollback to savepoint first")
    _meanwhile(stage, deeds)
    late.execute("commit")


def prepared(stage: Stage, deeds: Deeds) -> None:
    """It is prepared, its session ends, and another one commits it late."""
    _prepare(stage, deeds)
    stage.db.execute("commit prepared 'late'")


def prepared_and_rolled_back(stage: Stage, deeds: Deeds) -> None:
    """It is prepared, its session ends, and another one rolls it back."""
    _prepare(stage, deeds)
    stage.db.execute("rollback prepared 'late'")


def second_of_two(stage: Stage, deeds: Deeds) -> None:
    """An older transaction ends after a tick took note, the younger one much later.

    Nothing else ends in between, so the xmax of the tick's snapshot is the id of the older one.
    """
    older, younger = _begun(stage), _begun(stage)
    deeds.come_due()
    older.execute("select pg_current_xact_id()")
    deeds.do(younger)
    stage.tick()
    older.execute("commit")
    _meanwhile(stage, deeds)
    younger.execute("commit")


def tick_in_a_transaction_with_an_id(stage: Stage, deeds: Deeds) -> None:
    """A tick is called in a transaction whose id is older than what it reads."""
    ticker, late = _begun(stage), _begun(stage)
    ticker.execute("select pg_current_xact_id()")
    deeds.come_due()
    deeds.do(late)
    stage.pass_time(MINUTE)
    ticker.execute("select rowqueue.tick()")
    ticker.execute("commit")
    _meanwhile(stage, deeds)
    late.execute("commit")


def tick_in_a_savepoint(stage: Stage, deeds: Deeds) -> None:
    """A tick is called within a savepoint, and its transaction ends later."""
    ticker, late = _begun(stage), _begun(stage)
    deeds.come_due()
    deeds.do(late)
    stage.pass_time(MINUTE)
    ticker.execute("savepoint first")
    ticker.execute("select rowqueue.tick()")
    ticker.execute("release savepoint first")
    _meanwhile(stage, deeds)
    ticker.execute("commit")
    _meanwhile(stage, deeds)
    late.execute("commit")


def tick_with_an_old_snapshot(stage: Stage, deeds: Deeds) -> None:
    """A tick is called in a transaction whose snapshot is older than what it reads."""
    ticker, late = _begun(stage, "isolation level repeatable read"), _begun(stage)
    ticker.execute("select count(*) from rowqueue.watermarks")
    deeds.come_due()
    deeds.do(late)
    stage.pass_time(MINUTE)
    ticker.execute("select rowqueue.tick()")
    ticker.execute("commit")
    _meanwhile(stage, deeds)
    late.execute("commit")


def rolled_back_tick(stage: Stage, deeds: Deeds) -> None:
    """A tick is rolled back."""
    ticker, late = _begun(stage), _begun(stage)
    deeds.come_due()
    deeds.do(late)
    stage.pass_time(MINUTE)
    ticker.execute("select rowqueue.tick()")
    ticker.execute("rollback")
    _meanwhile(stage, deeds)
    late.execute("commit")


def two_ticks_at_once(stage: Stage, deeds: Deeds) -> None:
    """Two ticks overlap, and the first one commits last."""
    first, second, late = _begun(stage), _begun(stage), _begun(stage)
    deeds.others_work()
    first.execute("select rowqueue.tick()")
    deeds.come_due()
    deeds.do(late)
    second.execute("select rowqueue.tick()")
    second.execute("commit")
    first.execute("commit")
    _meanwhile(stage, deeds)
    late.execute("commit")


def waiting_for_a_key(stage: Stage, deeds: Deeds) -> None:
    """It draws, then waits for another transaction that holds the unique_key it wants."""
    enqueue = (
        "select rowqueue.enqueue(%(type)s, queue => %(type)s, unique_key => 'shared', "
        "run_after => rowqueue._now() + %(delay)s)"
    )
    for kind, delay in {"due": "0", "delayed": "1 second"}.items():
        if kind not in deeds.types:
            continue
        job = {"type": kind, "delay": delay}
        holder, late = _begun(stage), stage.session()
        holder.execute(enqueue, job)
        late.execute("begin")
        enqueued = late.start(enqueue, job)
        assert enqueued.waits()
        _meanwhile(stage, deeds)
        holder.execute("rollback")
        enqueued.rows()
        stage.tick(4)
        late.execute("commit")


def _begun(stage: Stage, how: str = "") -> Any:
    session = stage.connect()
    session.execute(f"begin {how}")
    return session


def _prepare(stage: Stage, deeds: Deeds) -> None:
    late = _begun(stage)
    deeds.come_due()
    deeds.do(late)
    late.execute("prepare transaction 'late'")
    late.close()
    _meanwhile(stage, deeds)


def _meanwhile(stage: Stage, deeds: Deeds) -> None:
    stage.pass_time(MINUTE)
    deeds.others_work()
    stage.tick(4)


SCENES: tuple[Scene, ...] = (
    late_commit,
    old_session,
    late_rollback,
    rollbacks_in_turn,
    repeatable_read,
    serializable,
    savepoints,
    rolled_back_savepoint,
    prepared,
    prepared_and_rolled_back,
    second_of_two,
    tick_in_a_transaction_with_an_id,
    tick_in_a_savepoint,
    tick_with_an_old_snapshot,
    rolled_back_tick,
    two_ticks_at_once,
    waiting_for_a_key,
)
