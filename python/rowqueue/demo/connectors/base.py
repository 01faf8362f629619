"""What every connector is: a source, cut into the pages of one workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

_PAGES_AIMED_AT = 34
_PAGE_SIZE_MAX = 500


class SourceError(Exception):
    """A source that can't be read: it isn't there, or doesn't have the form it should have."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing found in a source, under a key that is the same on every visit."""

    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A handful of records, stored together, and what on the page could not be read."""

    number: int
    records: list[Record]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a source that belongs to one workspace: every ``parts``-th thing."""

    part: int
    parts: int

    def holds(self, index: int) -> bool:
        """Returns whether the thing at this index, counted from 0, belongs to the share."""
        return index % self.parts == self.part

    def count(self, total: int) -> int:
        """Returns how many of so many things belong to the share."""
        return len(range(self.part, total, self.parts))


class Connector(Protocol):
    """A source, seen by one workspace."""

    @property
    def noun(self) -> str:
        """What its pages are made of, in the plural."""

    @property
    def page_count(self) -> int | None:
        """How many pages there are, where the source tells in advance."""

    def pages(self, first: int = 1) -> Iterator[Page]:
        """Yields the pages in order, from number ``first`` on.

        Raises:
            SourceError: the source can't be read, or not any more.
        """


def page_size(items: int) -> int:
    """Returns a page size that gives a source of any size a fair number of pages."""
    return min(max(1, ceil(items / _PAGES_AIMED_AT)), _PAGE_SIZE_MAX)
