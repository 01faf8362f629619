"""Makes a call of a step: which job and which token it names, and all its other arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from model import calls, many, requests
from model.calls import Call
from model.job import SECOND
from model.steps import Step

NOBODY = "01890000-0000-7000-8000-000000000000"
LEASES = (SECOND, 60 * SECOND)

Held = tuple[str, int]
"""A job's id, and a token."""


def call_of(step: Step, tokens: Mapping[str, Sequence[int]]) -> Call:
    """Returns the call that a step makes.

    Args:
        step: the step.
        tokens: the jobs that there are or were, each with all tokens it was ever claimed under.
    """
    if step.action in _ON_A_JOB:
        return _ON_A_JOB[step.action](_job(step, tokens), step.choice)
    if step.action in _REPORTS:
        return _REPORTS[step.action](_held(step, tokens), step.choice)
    return _ON_MANY[step.action](step, tokens)


def _job(step: Step, tokens: Mapping[str, Sequence[int]]) -> str:
    return list(tokens)[step.job % len(tokens)] if tokens else NOBODY


def _held(step: Step, tokens: Mapping[str, Sequence[int]], which: int = 0) -> Held:
    """A job and mostly its latest token, else an older one, or one that nobody was ever given."""
    job_id = _job(step._replace(job=step.job + which), tokens)
    known = [0, *tokens.get(job_id, ())]
    return job_id, known[-1] if step.choice % 4 else known[step.choice // 4 % len(known)]


def _enqueue(step: Step, tokens: Mapping[str, Sequence[int]]) -> Call:
    key, priority, attempts, delay, timeout = _digits(step.choice, 2, 2, 3, 3, 2)
    return requests.Enqueue(
        unique_key="key" if key else None,
        priority=priority,
        max_attempts=1 + attempts,
        timeout=(5 * SECOND, 600 * SECOND)[timeout],
        delay=SECOND if delay == 1 else 0,
    )


def _claim(step: Step, tokens: Mapping[str, Sequence[int]]) -> Call:
    more, lease = _digits(step.choice, 3, 2)
    return many.Claim(f"worker {step.session}", (1, 1, 3)[more], LEASES[lease])


def _batch(step: Step, tokens: Mapping[str, Sequence[int]]) -> tuple[list[str], list[int]]:
    """Two jobs in any order, or one where there is only one."""
    pairs = dict(_held(step, tokens, which) for which in (0, 1))
    return list(pairs), list(pairs.values())


def _digits(choice: int, *bases: int) -> list[int]:
    digits = []
    for base in bases:
        choice, digit = divmod(choice, base)
        digits.append(digit)
    return digits


_ON_A_JOB: dict[str, Callable[[str, int], Call]] = {
    "cancel": lambda job_id, choice: requests.Cancel(job_id, f"reason {choice}"),
    "retry": lambda job_id, choice: requests.Retry(job_id),
    "reset": lambda job_id, choice: requests.Reset(job_id),
    "get": lambda job_id, choice: many.Get(job_id),
}
_REPORTS: dict[str, Callable[[Held, int], Call]] = {
    "complete": lambda held, choice: calls.Complete(*held, f"result {choice}"),
    "fail": lambda held, choice: calls.Fail(
        *held, f"error {choice}", bool(choice // 4 % 4), (None, None, 0, SECOND)[choice // 16 % 4]
    ),
    "release": lambda held, choice: calls.Release(*held, (0, 0, SECOND)[choice // 4 % 3]),
    "extend": lambda held, choice: calls.Extend(*held, LEASES[choice // 4 % 2]),
    "progress": lambda held, choice: calls.Progress(*held, choice // 4 % 10, 10 + choice // 64 % 2),
}
_ON_MANY: dict[str, Callable[[Step, Mapping[str, Sequence[int]]], Call]] = {
    "enqueue": _enqueue,
    "claim": _claim,
    "complete_many": lambda step, tokens: many.CompleteMany(*_batch(step, tokens)),
    "extend_leases": lambda step, tokens: many.ExtendLeases(
        *_batch(step, tokens), LEASES[step.choice // 4 % 2]
    ),
    "reap": lambda step, tokens: many.Reap(),
    "tick": lambda step, tokens: many.Tick(),
    "purge": lambda step, tokens: many.Purge(),
}
