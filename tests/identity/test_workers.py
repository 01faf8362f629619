"""A worker in a copy of the database: it says what is the matter, and waits for a person."""

from __future__ import annotations

import logging

import pytest

from identity.copies import clone, worked_in
from rowqueue.errors import IdentityUnconfirmed
from rowqueue.worker import claim as claiming
from support.calls import Session, enqueue, value
from support.server import Server
from support.waiting import eventually
from support.workers import quick_worker, until, working


def test_it_says_so_once_and_starts_when_somebody_has_confirmed(
    server: Server, db: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "_UNCONFIRMED", 0.05)
    refusals = []
    doubt = claiming.Claimer._doubt

    def count(self: claiming.Claimer, error: IdentityUnconfirmed) -> None:
        refusals.append(error)
        doubt(self, error)

    monkeypatch.setattr(claiming.Claimer, "_doubt", count)
    worked_in(db)
    with clone(server, db) as copy, caplog.at_level(logging.INFO, "rowqueue"):
        job = enqueue(copy)
        worker = quick_worker(server.url(copy.info.dbname))
        worker.handler("sync")(lambda job: None)
        with working(worker):
            eventually(lambda: len(refusals) >= 3, what="three claims")
            value(copy, "confirm_identity")
            until(copy, job, "completed")
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 1
    assert "is a copy of the one in which jobs ran" in lines[0]
    assert "confirm_identity()" in lines[0]
    assert "this database is confirmed" in caplog.text


def test_a_burst_raises(server: Server, db: Session) -> None:
    worked_in(db)
    with clone(server, db) as copy:
        enqueue(copy)
        worker = quick_worker(server.url(copy.info.dbname))
        worker.handler("sync")(lambda job: None)
        with pytest.raises(IdentityUnconfirmed):
            worker.run(burst=True)
