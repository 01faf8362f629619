"""Crimes against what is stored: I-1, I-2, I-13, I-19, I-20, I-21."""

from __future__ import annotations

from uuid import uuid4

from torture.crimes.book import Book
from torture.play import Play

CRIMES = Book()


@CRIMES.against("I-1 a job whose enqueue was acknowledged exists")
def _(play: Play) -> None:
    play.history.note("enqueue", key="lost", job=uuid4())


@CRIMES.against("I-1 once the queue is drained, each job is final")
def _(play: Play) -> None:
    play.enqueue()


@CRIMES.against("I-1 a job stays until somebody removes it")
def _(play: Play) -> None:
    play.enqueue()
    with play.unrecorded():
        play.db.execute("delete from rowqueue.jobs")


@CRIMES.against("I-2 an enqueue that failed or was rolled back leaves no job")
def _(play: Play) -> None:
    with play.history.call("enqueue", key="undone") as call:
        play.enqueue_unsaid(key="undone")
        call.undone()


@CRIMES.against("I-2 each job was asked for")
def _(play: Play) -> None:
    play.enqueue_unsaid(key="unheard of")


@CRIMES.against("I-2 one enqueue makes one job")
def _(play: Play) -> None:
    with play.history.call("enqueue", key="doubled"):
        play.enqueue_unsaid(key="doubled")
        play.enqueue_unsaid(key="doubled")


@CRIMES.against("I-2 an enqueue without a unique key returns the job that it made")
def _(play: Play) -> None:
    play.history.note("enqueue", key="another", job=play.enqueue())


@CRIMES.against("I-2 what is handed out or run exists")
def _(play: Play) -> None:
    play.history.note("claim_next", job=uuid4(), token=1)


@CRIMES.against("I-13 of a unique key there is one live job at most")
def _(play: Play) -> None:
    play.enqueue(unique_key="k")
    play.db.execute("drop index rowqueue.jobs_live_unique_key_idx")
    play.db.execute(
        "/* rowqueue.enqueue( */ insert into rowqueue.jobs_live"
        " (id, created_at, run_after, job_type, unique_key)"
        " select gen_random_uuid(), created_at, run_after, job_type, unique_key"
        " from rowqueue.jobs_live"
    )


@CRIMES.against("I-13 an enqueue with a unique key returns a job that has it")
def _(play: Play) -> None:
    play.history.note("enqueue", key="other", unique_key="k", job=play.enqueue())


@CRIMES.against("I-13 the job that an enqueue with a unique key returns is not over already")
def _(play: Play) -> None:
    job = play.claimed(unique_key="k")
    play.complete(job)
    play.history.note("enqueue", key="late", unique_key="k", job=job.id)


@CRIMES.against("I-19 a job belongs to the workspace that it was enqueued for")
def _(play: Play) -> None:
    play.history.note("enqueue", key="other", workspace_id=uuid4(), job=play.enqueue())


@CRIMES.against("I-20 a handler reads the payload that was enqueued")
def _(play: Play) -> None:
    job = play.claimed()
    play.history.note("run", job=job.id, token=job.token, key="garbled")


@CRIMES.against("I-21 the tables hold what was written last")
def _(play: Play) -> None:
    play.claimed()
    with play.unrecorded():
        play.db.execute("update rowqueue.jobs set token = token + 1")


@CRIMES.against("I-21 as many jobs are gone as purges and people have removed")
def _(play: Play) -> None:
    play.history.note("purge_finished", removed=3)


@CRIMES.against("I-21 health() counts the rows that there are")
def _(play: Play) -> None:
    play.enqueue()
    play.db.execute(
        "create or replace function rowqueue.health() returns setof rowqueue.queue_health "
        "language plpgsql stable as 'begin end'"
    )
