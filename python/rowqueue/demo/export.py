"""Files of records, in the formats that the demo's `export` jobs know."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rowqueue.demo.connectors import Record

Write = Callable[[Record], object]


@contextmanager
def new_file(path: Path, format: str, columns: Sequence[str]) -> Iterator[Write]:
    """Makes a file that appears under its name once it is whole, and yields what writes to it.

    Args:
        path: the file; one that is there is replaced.
        format: ``csv`` or ``jsonl``.
        columns: the data's fields, for a format that must know them in advance.

    Raises:
        ValueError: there is no such format.
    """
    if format not in _FORMATS:
        raise ValueError(f"format must be one of {', '.join(_FORMATS)}, not {format}")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        yield _FORMATS[format](file, columns)
    unfinished.replace(path)


def _csv(file: TextIO, columns: Sequence[str]) -> Write:
    rows = csv.writer(file)
    rows.writerow(["key", *columns])
    return lambda r: rows.writerow([r.key, *(_cell(r.data.get(name)) for name in columns)])


def _jsonl(file: TextIO, columns: Sequence[str]) -> Write:
    return lambda r: file.write(json.dumps({"key": r.key, **r.data}, ensure_ascii=False) + "\n")


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value)


_FORMATS = {"csv": _csv, "jsonl": _jsonl}
