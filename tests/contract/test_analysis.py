"""The exceptions to what others' tools find: see .ci/analysis."""

from __future__ import annotations

import pytest
from analysis.findings import Exempt, Finding, exceptions, judge

FOUND = Finding("complete", "error: no such column")
EXEMPT = Exempt("complete", "error: no such", "It is there.")


def test_a_finding_without_an_exception_is_told():
    assert list(judge([FOUND], [])) == ["complete: error: no such column"]
    assert list(judge([FOUND, FOUND._replace(where="complete_many")], [EXEMPT])) == [
        "complete_many: error: no such column"
    ]


def test_an_exception_covers_a_function_as_a_whole_and_the_beginning_of_what_is_said():
    assert list(judge([FOUND], [EXEMPT])) == []
    assert EXEMPT.covers(FOUND._replace(what="error: no such table"))
    assert not EXEMPT.covers(FOUND._replace(what="an error: no such table"))


def test_an_exception_that_nothing_needs_is_told():
    [line] = judge([], [EXEMPT])
    assert line.startswith("an exception that nothing needs any more: complete")


@pytest.mark.parametrize("tool", ["plpgsql_check", "pgspot", "squawk", "pip-audit"])
def test_every_exception_gives_its_reason(tool):
    assert all(len(entry.reason) > 20 for entry in exceptions(tool))
