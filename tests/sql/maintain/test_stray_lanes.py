"""Looking for lanes that do not exist costs a few probes a lane, however much waits in them."""

from __future__ import annotations

from support.calls import enqueue, enqueue_many

BLOCKS = "select pg_stat_get_xact_blocks_fetched('rowqueue.jobs_live_claim_idx'::regclass) as n"
STRAY = "select queue, priority from rowqueue._stray_lanes(rowqueue._queues()) order by 1, 2"


def test_what_waits_in_the_lanes_is_not_walked(db):
    for queue in ("a", "b"):
        for priority in (0, 5):
            enqueue_many(db, *[{"queue": queue, "priority": priority}] * 5000)
    with db.transaction():
        before = db.execute(BLOCKS).fetchone().n
        assert db.execute(STRAY).fetchall() == []
        probes = db.execute(BLOCKS).fetchone().n - before
    # The whole index has some hundred and fifty.
    assert probes < 75


def test_a_stray_lane_is_found_wherever_it_lies(db):
    for queue, priority in [("b", -5), ("b", 0), ("b", 5), ("d", 0)]:
        enqueue(db, queue=queue, priority=priority)
    lanes = [("a", 0), ("b", -7), ("b", 3), ("b", 7), ("c", 1), ("d", -1), ("d", 1), ("e", 0)]
    for queue, priority in lanes:
        enqueue(db, queue=queue, priority=priority)
        db.execute(
            "delete from rowqueue.lanes where (queue, priority) = (%s, %s)", [queue, priority]
        )
    assert db.execute(STRAY).fetchall() == lanes


def test_a_delayed_job_of_a_queue_without_lanes_is_found(db):
    enqueue(db, queue="b")
    for queue in ("a", "c"):
        enqueue(db, queue=queue)
    db.execute("update rowqueue.jobs_live set ticket = null where queue <> 'b'")
    db.execute("delete from rowqueue.lanes where queue <> 'b'")
    assert db.execute(STRAY).fetchall() == [("a", 0), ("c", 0)]
