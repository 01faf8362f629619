"""Every history of a few jobs, workers and a reaper, in the barest model of the fencing tokens.

Where `model.job` says what each function does, this says why it is enough: breadth first, it visits
every state that can be reached, and looks in each whether what is promised holds. It knows nothing
of SQL. The broken variants leave a guard out, and must be caught.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

Status = Literal["pending", "running", "completed", "failed"]
Guard = Literal["token", "status", "lock", "fresh token", "attempts", "expired"]
GUARDS: tuple[Guard, ...] = ("token", "status", "lock", "fresh token", "attempts", "expired")

MAX_ATTEMPTS = 2
MAX_TOKEN = 4
"""A job is claimed so often at the most: what comes later is more of the same."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job in the database.

    Attributes:
        expired: the lease has run out; nobody may have noticed.
        effects: how many effects were committed together with a completion.
        tokens: the tokens that were handed out, in their order.
    """

    status: Status = "pending"
    token: int = 0
    attempts: int = 0
    expired: bool = False
    effects: int = 0
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: the job that it believes to hold, and under which token.

    Attributes:
        chosen: the job that it has read as pending and not claimed yet, where nothing locks it.
    """

    job: int | None = None
    token: int = 0
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The jobs and the workers."""

    jobs: tuple[Job, ...]
    workers: tuple[Worker, ...]

    def with_(self, *, job: tuple[int, Job] | None = None, worker: tuple[int, Worker]) -> State:
        """The state after a worker's step."""
        jobs, workers = list(self.jobs), list(self.workers)
        if job is not None:
            jobs[job[0]] = job[1]
        workers[worker[0]] = worker[1]
        return State(tuple(jobs), tuple(workers))


Step = tuple[str, State]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done, without some of the guards."""

    without: frozenset[Guard] = frozenset()

    def steps(self, state: State) -> Iterator[Step]:
        """Everything that may happen next."""
        for number, worker in enumerate(state.workers):
            if worker.job is None:
                yield from self._claims(state, number, worker)
            else:
                yield from self._reports(state, number, worker)
        for number, job in enumerate(state.jobs):
            yield from self._around(state, number, job)

    def _claims(self, state: State, number: int, worker: Worker) -> Iterator[Step]:
        for n, job in enumerate(state.jobs):
            if job.status != "pending" or len(job.tokens) == MAX_TOKEN:
                continue
            if "lock" not in self.without:
                yield f"worker {number} claims {n}", self._claimed(state, number, n)
            elif worker.chosen is None:
                chosen = replace(worker, chosen=n)
                yield f"worker {number} sees {n}", state.with_(worker=(number, chosen))
        if worker.chosen is not None:
            after = self._claimed(state, number, worker.chosen)
            yield f"worker {number} claims what it saw, {worker.chosen}", after

    def _claimed(self, state: State, number: int, n: int) -> State:
        job = state.jobs[n]
        token = max(job.tokens, default=0) + 1
        if "fresh token" in self.without and job.token:
            token = job.token
        claimed = replace(
            job,
            status="running",
            token=token,
            attempts=job.attempts + 1,
            expired=False,
            tokens=(*job.tokens, token),
        )
        return state.with_(job=(n, claimed), worker=(number, Worker(job=n, token=token)))

    def _holds(self, job: Job, worker: Worker) -> bool:
        return ("token" in self.without or job.token == worker.token) and (
            "status" in self.without or job.status == "running"
        )

    def _reports(self, state: State, number: int, worker: Worker) -> Iterator[Step]:
        n = worker.job
        assert n is not None
        job = state.jobs[n]
        idle = (number, Worker())
        yield f"worker {number} dies", state.with_(worker=idle)
        if not self._holds(job, worker):
            # Its effect is rolled back with the call that is refused.
            yield f"worker {number} is refused", state.with_(worker=idle)
            return
        completed = replace(job, status="completed", effects=job.effects + 1)
        yield f"worker {number} completes {n}", state.with_(job=(n, completed), worker=idle)
        unaware = state.with_(job=(n, completed), worker=(number, worker))
        yield f"worker {number} completes {n}, and the reply is lost", unaware
        after = self._back(job)
        yield f"worker {number} fails {n}", state.with_(job=(n, after), worker=idle)
        extended = replace(job, expired=False)
        yield (
            f"worker {number} extends {n}",
            state.with_(job=(n, extended), worker=(number, worker)),
        )

    def _back(self, job: Job) -> Job:
        """An attempt that did not complete its job."""
        if job.attempts >= MAX_ATTEMPTS and "attempts" not in self.without:
            return replace(job, status="failed")
        token = job.token if "fresh token" in self.without else 0
        return replace(job, status="pending", token=token, expired=False)

    def _around(self, state: State, n: int, job: Job) -> Iterator[Step]:
        def with_job(after: Job) -> State:
            return State((*state.jobs[:n], after, *state.jobs[n + 1 :]), state.workers)

        if job.status == "running" and not job.expired:
            yield f"the lease of {n} runs out", with_job(replace(job, expired=True))
        if job.status == "running" and (job.expired or "expired" in self.without):
            yield f"the reaper takes {n}", with_job(self._back(job))
        if job.status == "failed":
            yield (
                f"an admin retries {n}",
                with_job(replace(job, status="pending", attempts=0, token=0)),
            )


def broken_promise(before: State, step: str, after: State) -> str | None:
    """Which promise a step breaks."""
    for n, (was, job) in enumerate(zip(before.jobs, after.jobs, strict=True)):
        if list(job.tokens) != sorted(set(job.tokens)):
            return f"a token of job {n} was handed out twice"
        if job.effects > 1:
            return f"job {n} has two effects"
        if was.status == "completed" and job.status != "completed":
            return f"the completion of job {n} was undone"
        if job.status == "running" and job.attempts > MAX_ATTEMPTS:
            return f"job {n} runs more often than it may"
        if "claims" in step and was.status == "running" and job.tokens != was.tokens:
            return f"job {n} was handed out while it ran"
        if "reaper" in step and was.status == "running" and job != was and not was.expired:
            return f"job {n} was taken from a worker whose lease had not run out"
    for number, worker in enumerate(before.workers):
        if worker.job is not None and step.startswith(f"worker {number} "):
            job = before.jobs[worker.job]
            late = job.status != "running" or job.token != worker.token
            if late and after.jobs[worker.job] != job:
                return f"worker {number} was late, and changed job {worker.job}"
    for one, other in combinations(after.workers, 2):
        if one.job is not None and (one.job, one.token) == (other.job, other.token):
            return f"two workers hold job {one.job} under one token"
    return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a search.

    Attributes:
        states: how many there are.
        history: the steps to a broken promise, the shortest; empty when there is none.
        promise: the promise that is broken.
    """

    states: int
    history: tuple[str, ...] = ()
    promise: str | None = None


def search(rules: Rules, jobs: int = 2, workers: int = 2) -> Verdict:
    """Visits every state that can be reached, until a promise is broken."""
    start = State((Job(),) * jobs, (Worker(),) * workers)
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    unseen = deque([start])
    while unseen:
        state = unseen.popleft()
        for step, after in rules.steps(state):
            if promise := broken_promise(state, step, after):
                return Verdict(len(came_from), (*_history(came_from, state), step), promise)
            if after not in came_from:
                came_from[after] = (state, step)
                unseen.append(after)
    return Verdict(len(came_from))


def _history(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    steps: list[str] = []
    while (before := came_from[state]) is not None:
        state, step = before
        steps.append(step)
    return steps[::-1]
