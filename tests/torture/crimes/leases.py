"""Crimes against who holds a job: I-3, I-4, I-5, I-23."""

from __future__ import annotations

from torture.crimes.book import CLAIM, GIVE_BACK, Book
from torture.play import Play

CRIMES = Book()


def _tokens_go_on_from(play: Play, token: int) -> None:
    play.db.execute("select setval('rowqueue.tokens', %s)", [token])


@CRIMES.against("I-3 a job is handed out only while nobody holds it")
def _(play: Play) -> None:
    play.change(play.claimed().id, "claim_next", CLAIM)


@CRIMES.against("I-3 a lease is ended for being over only once it is")
def _(play: Play) -> None:
    play.change(play.claimed().id, "reap_stuck", f"{GIVE_BACK}, crashes = crashes + 1")


@CRIMES.against("I-3 a claim's job is run once")
def _(play: Play) -> None:
    job = play.claimed()
    play.run(job)
    play.run(job)


@CRIMES.against(
    "I-3 a job runs again only because the lease of the run before ended without completing it"
)
def _(play: Play) -> None:
    job = play.claimed()
    play.run(job)
    play.complete(job)
    play.history.note("run", job=job.id, token=job.token + 1)


@CRIMES.against("I-4 the tokens of a job rise")
def _(play: Play) -> None:
    _tokens_go_on_from(play, 100)
    play.report("release", play.claimed())
    _tokens_go_on_from(play, 50)
    play.claim()


@CRIMES.against("I-4 no token is drawn twice")
def _(play: Play) -> None:
    for _job in range(2):
        _tokens_go_on_from(play, 100)
        play.claimed()


@CRIMES.against("I-4 no token is handed out twice")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("claim_next", job=job.id, token=job.token)


@CRIMES.against("I-5 who calls after a newer claim has returned is refused")
def _(play: Play) -> None:
    job = play.claimed()
    play.report("release", job)
    play.claim()
    play.history.note("report_progress", job=job.id, token=job.token, current=1)


@CRIMES.against("I-5 an accepted failure or release ended the lease that it named")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("fail_with_backoff", job=job.id, token=job.token)


@CRIMES.against("I-5 a lease is ended by a call that names its token")
def _(play: Play) -> None:
    job = play.claimed()
    play.db.execute("select rowqueue.complete(%s, %s)", [job.id, job.token])


@CRIMES.against("I-5 each accepted heartbeat extended the lease that it named")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("extend_lease", job=job.id, token=job.token)


@CRIMES.against("I-5 only a running job is reported on")
def _(play: Play) -> None:
    play.change(play.enqueue(), "extend_lease", "lease_until = clock_timestamp()")


@CRIMES.against("I-23 what was handed out had been claimed")
def _(play: Play) -> None:
    play.history.note("claim_next", job=play.enqueue(), token=4711)


@CRIMES.against("I-23 each claim ends once the queue is drained")
def _(play: Play) -> None:
    play.claimed()


@CRIMES.against("I-23 each change is one that the documents know")
def _(play: Play) -> None:
    play.change(
        play.enqueue(),
        "retry",
        "status = 'cancelled', completed_at = clock_timestamp(), ticket = null",
    )


@CRIMES.against("I-23 tokens that no claim has were drawn by claims that were undone")
def _(play: Play) -> None:
    play.complete(play.claimed())
    _tokens_go_on_from(play, 100)
