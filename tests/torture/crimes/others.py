"""Crimes against ends, attempts, order and answers: I-6 to I-12, I-22, I-24."""

from __future__ import annotations

from uuid import UUID

from torture.crimes.book import CLAIM, CRASH, FAILED, GIVE_BACK, LATER, Book
from torture.play import Play

CRIMES = Book()


@CRIMES.against(
    "I-6 a final state is left by retry, by a purge and by hand alone, and completed by no retry"
)
def _(play: Play) -> None:
    job = play.claimed()
    play.complete(job)
    play.change(job.id, None, f"{GIVE_BACK}, completed_at = null")


@CRIMES.against("I-7 an effect in the transaction that completes happens exactly once")
def _(play: Play) -> None:
    play.complete(play.claimed("effect"))


@CRIMES.against("I-7 an effect was made under the token that completed")
def _(play: Play) -> None:
    job = play.claimed("effect")
    play.db.execute("insert into torture.effects values (%s, %s)", [job.id, job.token + 1])
    play.complete(job)


@CRIMES.against("I-8 a completion that was acknowledged is stored")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("complete", job=job.id, token=job.token)


@CRIMES.against("I-8 what was completed once is completed at the end")
def _(play: Play) -> None:
    job = play.claimed()
    play.complete(job)
    play.change(job.id, "retry", f"{GIVE_BACK}, completed_at = null")


@CRIMES.against("I-8 completing again with the token that completed is no error")
def _(play: Play) -> None:
    job = play.claimed()
    play.complete(job)
    play.refused("complete", "RQ101", job)


@CRIMES.against("I-9 a claim raises attempts by one")
def _(play: Play) -> None:
    play.change(play.enqueue(), "claim_next", f"{CLAIM} + 1")


@CRIMES.against("I-9 a release, and a crash in the company of others, give the attempt back")
def _(play: Play) -> None:
    play.change(play.claimed().id, "release", GIVE_BACK)


@CRIMES.against("I-9 whatever else ends an attempt costs it")
def _(play: Play) -> None:
    play.change(play.claimed().id, "fail_with_backoff", f"{GIVE_BACK}, attempts = 0")


@CRIMES.against(
    "I-9 a job fails for good once its attempts are used up, or because its handler said so"
)
def _(play: Play) -> None:
    play.change(play.claimed(max_attempts=2).id, "fail_with_backoff", FAILED)


@CRIMES.against(
    "I-9 a job that kills its worker each time fails after exactly max_attempts crashes"
)
def _(play: Play) -> None:
    job = play.claimed("poison", max_attempts=2)
    play.change(job.id, "reap_stuck", CRASH)
    play.change(job.id, "reap_stuck", f"{FAILED}, attempts = 2")


@CRIMES.against("I-9 no job fails for a crash that another one of its claim may have caused")
def _(play: Play) -> None:
    play.enqueue(max_attempts=1)
    [job] = play.claim(2)
    play.change(job.id, "reap_stuck", f"{FAILED}, {CRASH}")


@CRIMES.against("I-10 no attempt begins beyond max_attempts")
def _(play: Play) -> None:
    job: UUID = play.enqueue(max_attempts=1)
    play.change(job, None, "attempts = 1")
    play.change(job, "claim_next", CLAIM)


@CRIMES.against("I-10 no job waits whose attempts are used up")
def _(play: Play) -> None:
    play.change(play.claimed(max_attempts=1).id, "release", GIVE_BACK)


@CRIMES.against("I-11 no claim passes by a job that was there before it began and comes first")
def _(play: Play) -> None:
    first, second = play.enqueue(), play.enqueue()
    with play.history.call("claim_next") as call:
        play.change(second, "claim_next", CLAIM)
        call.reply(job=second, token=1)
    [job] = play.claim()
    assert job.id == first


@CRIMES.against("I-11 no job is found below a floor")
def _(play: Play) -> None:
    play.db.execute("select nextval('rowqueue.below_floor')")


@CRIMES.against("I-12 a job gets its place in the order only once it is due")
def _(play: Play) -> None:
    job = play.enqueue(run_after=LATER)
    play.change(job, "tick", "ticket = nextval('rowqueue.tickets')")


@CRIMES.against("I-12 a job is not claimed before its time")
def _(play: Play) -> None:
    play.change(play.enqueue(run_after=LATER), "claim_next", CLAIM)


@CRIMES.against("I-12 the delay before the next attempt is the documented one")
def _(play: Play) -> None:
    later = "run_after = clock_timestamp() + interval '1 hour'"
    play.change(play.claimed().id, "fail_with_backoff", f"{GIVE_BACK}, {later}")


@CRIMES.against("I-22 within a claim and an unchanged total, progress never goes back")
def _(play: Play) -> None:
    job = play.claimed()
    play.report("report_progress", job, current=5, total=10)
    play.change(job.id, "report_progress", """progress = '{"current": 4, "total": 10}'""")


@CRIMES.against("I-22 a handler's last word on its progress is kept, or a higher one")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("report_progress", job=job.id, token=job.token, current=5, total=10)


@CRIMES.against("I-24 every error is documented")
def _(play: Play) -> None:
    play.refused("enqueue", "XX000")
