"""Every history of two jobs, two workers and a reaper keeps the promises, given all guards."""

from __future__ import annotations

import pytest

from model.exhaustive import GUARDS, Guard, Rules, search


def test_no_history_breaks_a_promise() -> None:
    verdict = search(Rules())
    assert verdict.promise is None, "\n".join(verdict.history)
    assert verdict.states > 10_000


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_one_does(guard: Guard) -> None:
    verdict = search(Rules(without=frozenset({guard})))
    assert verdict.promise
    assert len(verdict.history) <= 12
