"""rowqueue.list_jobs: the latest jobs, a page at a time."""

from __future__ import annotations

from uuid import uuid4

import pytest

from support.calls import NOBODY, claim_one, enqueue, enqueue_many, rows, running, value


def ids(session, **arguments):
    return [row.id for row in rows(session, "list_jobs", **arguments)]


@pytest.fixture
def life(db):
    """A database with jobs in every status, and their ids in the order in which they were made."""
    made = {}
    for status in ("completed", "failed", "cancelled"):
        held = running(db)
        given = {"job_id": held.id, "token": held.token}
        if status == "completed":
            rows(db, "complete", **given)
        elif status == "failed":
            rows(db, "fail_with_backoff", error="e", retry=False, **given)
        else:
            value(db, "cancel", job_id=held.id)
            value(db, "cancel", job_id=held.id)
        made[status] = held.id
    made["running"] = running(db).id
    made["pending"] = enqueue(db)
    return made


def test_it_shows_every_status_newest_first(db, life):
    assert ids(db) == list(reversed(life.values()))
    assert [row.status for row in rows(db, "list_jobs")] == list(reversed(life))


@pytest.mark.parametrize("status", ["pending", "running", "completed", "failed", "cancelled"])
def test_a_status_shows_only_those(db, life, status):
    assert ids(db, status=status) == [life[status]]


def test_a_workspace_shows_only_its_own(db):
    mine, other = uuid4(), uuid4()
    first = enqueue(db, workspace_id=mine)
    rows(db, "complete", job_id=first, token=claim_one(db).token)
    enqueue(db, workspace_id=other)
    enqueue(db)
    second = enqueue(db, workspace_id=mine)
    assert ids(db, workspace_id=mine) == [second, first]


def test_a_job_type_shows_only_those(db):
    export = enqueue(db, "export")
    enqueue(db)
    assert ids(db, job_type="export") == [export]


def test_conditions_add_up(db):
    mine = uuid4()
    wanted = enqueue(db, "export", workspace_id=mine)
    enqueue(db, "sync", workspace_id=mine)
    enqueue(db, "export")
    cancelled = enqueue(db, "export", workspace_id=mine)
    value(db, "cancel", job_id=cancelled)
    assert ids(db, workspace_id=mine, job_type="export", status="pending") == [wanted]


def test_twenty_are_shown_unless_more_are_asked_for(db):
    made = [row.id for row in enqueue_many(db, *[{}] * 30)]
    assert ids(db) == list(reversed(made))[:20]
    assert ids(db, max_jobs=25) == list(reversed(made))[:25]
    assert ids(db, max_jobs=1000) == list(reversed(made))


def test_the_last_id_of_a_page_leads_to_the_next(db):
    made = [row.id for row in enqueue_many(db, *[{}] * 25)]
    pages, before = [], None
    while page := ids(db, max_jobs=10, before=before):
        pages.append(page)
        before = page[-1]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [job_id for page in pages for job_id in page] == list(reversed(made))


def test_jobs_that_arrive_while_one_pages_shift_no_page(db):
    made = [row.id for row in enqueue_many(db, *[{}] * 4)]
    first = ids(db, max_jobs=2)
    enqueue_many(db, *[{}] * 4)
    assert first + ids(db, max_jobs=2, before=first[-1]) == list(reversed(made))


def test_before_need_not_be_a_job_that_is_still_there(db):
    enqueue(db)
    assert ids(db, before=NOBODY) == []


def test_without_jobs_there_are_no_rows(db):
    assert ids(db) == []
    assert ids(db, workspace_id=uuid4(), status="failed") == []
