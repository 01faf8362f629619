"""Python values as JSON text that Postgres can store and every client can read back.

What `encode` accepts, the database can parse; what it refuses, it names by its path. Limits of
size, depth and number range are left to the database, which knows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rowqueue.errors import NotStorable

_DEEPEST = 64


class JsonText(str):
    """JSON text: an argument of this type is sent as it is, any other value is encoded."""

    __slots__ = ()


def encode(name: str, value: Any) -> JsonText:
    """Returns `value` as JSON text.

    Args:
        name: what the value is called in an error message.
        value: what JSON can hold: dict (any mapping), list, tuple, str, int, float, bool, None.

    Raises:
        NotStorable: something in it is none of these, or is NaN, infinite, or a text that
            Postgres cannot store. The message has its path, such as ``payload.pages[3].rate``.
    """
    if isinstance(value, JsonText):
        return value
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = next(_problems(name, value, 0), f"{name} cannot be stored as JSON: {error}")
        raise NotStorable(problem) from None
    if "\\u0000" in text and (problem := next(_problems(name, value, 0), "")):
        raise NotStorable(problem)
    return JsonText(text)


def _plain(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


_ENCODER = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain
)


def _problems(path: str, value: object, depth: int) -> Iterator[str]:
    """Yields what is wrong with a document, each with its path, in the document's order."""
    if depth == _DEEPEST:
        yield f"{path} is nested deeper than {_DEEPEST - 1} levels"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str | int | float | None):
                yield f"{path} has a key of type {type(key).__name__}, which JSON cannot hold"
            yield from _problems(f"a key of {path}", key, depth)
            yield from _problems(f"{path}.{key}", item, depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _problems(f"{path}[{index}]", item, depth + 1)
    elif not isinstance(value, str | int | float | None):
        yield f"{path} is of type {type(value).__name__}, which JSON cannot hold"
    elif isinstance(value, str) and "\0" in value:
        yield f"{path} holds a NUL character, which Postgres cannot store"
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        yield f"{path} holds half a surrogate pair, which is no character"
    elif isinstance(value, float) and value - value != 0:
        yield f"{path} is {value}, which JSON cannot hold"
