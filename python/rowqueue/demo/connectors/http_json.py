"""Connector ``http``: a list behind a URL, in pages of JSON.

A page is an object with its ``items``, or a plain array of them. There are two ways to tell where
the next page is:

- ``{"items": [...], "pages": 34}``: the pages are at ``?page=1`` to ``?page=34``;
- a header ``Link: <...>; rel="next"``, as GitHub's API has it, until there is none.

An item that has an ``id`` keeps it as its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException, HTTPResponse, IncompleteRead
from itertools import islice
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

from rowqueue.demo.connectors.base import Page, Record, Share, SourceError

_SILENCE_MAX = 10.0  # seconds without a byte
_ANSWER_TIME_MAX = 30.0  # seconds for a whole page
_ANSWER_SIZE_MAX = 8 * 1024 * 1024
_PAGES_MAX = 10_000
_NEXT_LINK = re.compile(r'<([^<>]*)>[^<]*;\s*rel="?next\b')


@dataclass(frozen=True, slots=True)
class _Answer:
    place: int
    items: list[Any]
    pages: int | None
    next_url: str | None


class HttpConnector:
    """The items of a paginated list; a workspace's share is every so many-th page."""

    noun = "items"

    def __init__(self, url: str, share: Share) -> None:
        """Looks at a URL. Nothing is fetched yet.

        Raises:
            SourceError: it is no http or https URL.
        """
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise SourceError(f"{url} is no http or https URL")
        self._url = url
        self._share = share

    @property
    def page_count(self) -> int | None:
        """How many pages there are, where the source says so."""
        return None if self._first.pages is None else self._share.count(self._first.pages)

    def pages(self, first: int = 1) -> Iterator[Page]:
        """Yields the pages in order, from number ``first`` on."""
        answers = self._linked(first) if self._first.pages is None else self._numbered(first)
        for number, answer in enumerate(answers, start=first):
            items = enumerate(answer.items, start=1)
            yield Page(number, [_record(item, f"{answer.place}.{i}") for i, item in items], [])

    @cached_property
    def _first(self) -> _Answer:
        return _get(self._at(1), place=1)

    def _numbered(self, first: int) -> Iterator[_Answer]:
        for number in range(first, (self.page_count or 0) + 1):
            place = self._share.part + 1 + (number - 1) * self._share.parts
            yield self._first if place == 1 else _get(self._at(place), place)

    def _linked(self, first: int) -> Iterator[_Answer]:
        """Walks the chain from its start, for there is no other way into the middle."""
        ours = (answer for answer in self._chain() if self._share.holds(answer.place - 1))
        return islice(ours, first - 1, None)

    def _chain(self) -> Iterator[_Answer]:
        answer = self._first
        yield answer
        while answer.next_url:
            if answer.place == _PAGES_MAX:
                raise SourceError(f"{_shown(self._url)} has more than {_PAGES_MAX} pages")
            answer = _get(answer.next_url, answer.place + 1)
            yield answer

    def _at(self, place: int) -> str:
        url = urlsplit(self._url)
        others = [(name, value) for name, value in parse_qsl(url.query) if name != "page"]
        return url._replace(query=urlencode([*others, ("page", place)]), fragment="").geturl()


def _record(item: Any, place: str) -> Record:
    if not isinstance(item, dict):
        return Record(place, {"value": item})
    own = item.get("id")
    return Record(str(own) if own and isinstance(own, str | int) else place, item)


def _get(url: str, place: int) -> _Answer:
    """Fetches one page.

    Raises:
        SourceError: it can't be had, is too large, too slow or no such page.
    """
    try:
        with urlopen(_request(url), timeout=_SILENCE_MAX) as response:
            body = _read(response)
            link = _NEXT_LINK.search(", ".join(response.headers.get_all("Link", [])))
        document = json.loads(body)
    except HTTPError as error:
        error.close()
        raise SourceError(f"{_shown(url)} answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise SourceError(f"{_shown(url)}: {getattr(error, 'reason', error)}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{_shown(url)} answers no JSON: {error}") from error
    next_url = urljoin(url, link[1]) if link else None
    match document:
        case {"items": list(items), "pages": int(pages)}:
            return _Answer(place, items, min(max(pages, 0), _PAGES_MAX), None)
        case {"items": list(items)} | list(items):
            return _Answer(place, items, None, next_url)
    raise SourceError(f'{_shown(url)} answers neither {{"items": [...]}} nor an array')


def _request(url: str) -> Request:
    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceError(f"{url} is no http or https URL")
    return Request(url, headers={"Accept": "application/json", "User-Agent": "rowqueue-demo"})


def _read(response: HTTPResponse) -> bytes:
    """Reads a body within limits: a page is not to take up all memory, nor all of the evening."""
    deadline = monotonic() + _ANSWER_TIME_MAX
    body = bytearray()
    while block := response.read1(64 * 1024):
        body += block
        if len(body) > _ANSWER_SIZE_MAX:
            raise SourceError(f"a page has more than {_ANSWER_SIZE_MAX} bytes")
        if monotonic() > deadline:
            raise SourceError(f"a page takes more than {_ANSWER_TIME_MAX:.0f} s")
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and len(body) < int(announced):
        raise IncompleteRead(bytes(body), int(announced) - len(body))
    return bytes(body)


def _shown(url: str) -> str:
    """Returns a URL without what may be secret in it: the query, except for the page."""
    parts = urlsplit(url)
    page = dict(parse_qsl(parts.query)).get("page")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + (f"?page={page}" if page else "")
