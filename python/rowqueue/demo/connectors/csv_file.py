"""Connector ``csv``: the rows of any CSV file that a user has."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

from rowqueue.demo.connectors.base import Page, Record, Share, SourceError, page_size

_DELIMITERS = ",;\t|"
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class _BadRow:
    number: int
    reason: str


class CsvConnector:
    """The rows below a file's header line. Encoding and delimiter are found out."""

    noun = "rows"

    def __init__(self, path: Path, share: Share) -> None:
        """Looks at a file. Nothing is read yet."""
        self._path = path
        self._share = share

    @property
    def page_count(self) -> int:
        """How many pages there are."""
        return ceil(self._row_count / self._page_size)

    def pages(self, first: int = 1) -> Iterator[Page]:
        """Yields the pages in order, from number ``first`` on."""
        for number, rows in enumerate(self._chunks(), start=1):
            if number >= first:
                yield Page(
                    number,
                    records=[row for row in rows if isinstance(row, Record)],
                    errors=[f"row {r.number}: {r.reason}" for r in rows if isinstance(r, _BadRow)],
                )

    def _chunks(self) -> Iterator[list[Record | _BadRow]]:
        chunk: list[Record | _BadRow] = []
        for row in self._rows():
            chunk.append(row)
            if len(chunk) == self._page_size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    @cached_property
    def _row_count(self) -> int:
        return sum(1 for _ in self._rows())

    @property
    def _page_size(self) -> int:
        return page_size(self._row_count)

    def _rows(self) -> Iterator[Record | _BadRow]:
        """Yields the rows of this share, good and bad."""
        try:
            with self._path.open(encoding=self._encoding, newline="") as file:
                delimiter = _delimiter(file.readline(_BLOCK))
                file.seek(0)
                lines = csv.reader(file, delimiter=delimiter)
                header = _header(next(lines, []))
                for index, row in enumerate(_read(lines, header)):
                    if self._share.holds(index):
                        yield row
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror}") from error
        except csv.Error as error:
            raise SourceError(f"{self._path}: the header line: {error}") from error

    @cached_property
    def _encoding(self) -> str:
        """UTF-16 or UTF-8 where the file's first bytes, or all of them, say so; else Latin-1."""
        with self._path.open("rb") as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16"
            file.seek(0)
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                while block := file.read(_BLOCK):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "latin-1"
        return "utf-8-sig"


def _delimiter(line: str) -> str:
    """Returns the delimiter that cuts the header line into the most fields."""
    return max(_DELIMITERS, key=lambda mark: _field_count(line, mark))


def _field_count(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 0


def _header(names: list[str]) -> list[str]:
    """Returns a name for every column: its own, or its number where that is empty or taken."""
    header: list[str] = []
    for number, name in enumerate(names, start=1):
        name = name.strip()
        header.append(name if name and name not in header else f"column_{number}")
    return header


def _read(lines: Iterator[list[str]], header: list[str]) -> Iterator[Record | _BadRow]:
    number = 0
    while (fields := _next(lines)) is not None:
        if not fields:
            continue  # a blank line is no row
        number += 1
        if isinstance(fields, str):
            yield _BadRow(number, fields)
        elif len(fields) != len(header):
            yield _BadRow(number, f"{len(fields)} fields below {len(header)} headings")
        else:
            yield Record(str(number), dict(zip(header, fields, strict=True)))


def _next(lines: Iterator[list[str]]) -> list[str] | str | None:
    """Returns the next row's fields, or why it can't be read, or None at the end."""
    try:
        return next(lines, None)
    except csv.Error as error:
        return str(error)
