"""Fixtures of the reference model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.table import Table


@pytest.fixture
def table(dsn: str) -> Iterator[Table]:
    """A database of the test's own, whose clock is ours, with sessions at it."""
    with Table(dsn) as table:
        yield table
