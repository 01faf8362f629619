"""Connector ``stdlib``: indexes the standard library of the Python that runs it."""

from __future__ import annotations

import ast
import os
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from rowqueue.demo.connectors.base import Page, Record, Share, SourceError, page_size

_NOT_OURS = {"site-packages", "dist-packages", "__pycache__"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class StdlibConnector:
    """Every module under a folder, by its file: name, docstring, lines, definitions, imports.

    Some files of a standard library are no Python on purpose, such as the test data of its own
    parser. They are read like the others, fail to parse, and are reported.
    """

    noun = "modules"

    def __init__(self, share: Share, root: Path | None = None) -> None:
        """Looks at ``root``, or the standard library. Nothing is read yet."""
        self._root = root or Path(sysconfig.get_path("stdlib"))
        self._share = share

    @property
    def page_count(self) -> int:
        """How many pages there are."""
        return ceil(len(self._files) / self._page_size)

    def pages(self, first: int = 1) -> Iterator[Page]:
        """Yields the pages in order, from number ``first`` on."""
        for number in range(first, self.page_count + 1):
            start = (number - 1) * self._page_size
            yield self._page(number, self._files[start : start + self._page_size])

    @cached_property
    def _files(self) -> list[Path]:
        found = sorted(_python_files(self._root))
        if not found:
            raise SourceError(f"there are no Python files under {self._root}")
        return [file for index, file in enumerate(found) if self._share.holds(index)]

    @property
    def _page_size(self) -> int:
        return page_size(len(self._files))

    def _page(self, number: int, files: list[Path]) -> Page:
        page = Page(number, [], [])
        for file in files:
            name = file.relative_to(self._root).as_posix()
            try:
                data = describe_module(file.read_bytes())
            except (SyntaxError, ValueError, RecursionError, OSError) as error:
                page.errors.append(f"{name}: {_reason(error)}")
            else:
                page.records.append(Record(name, {"module": _module_name(name), **data}))
        return page


def describe_module(source: bytes) -> dict[str, Any]:
    """Returns what can be told of a module without running it.

    Raises:
        SyntaxError: the source is no Python, or not of this version.
        ValueError: the source holds null bytes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the modules' own, on invalid escapes and the like
        tree = ast.parse(source)
    docstring = ast.get_docstring(tree) or ""
    nodes = list(ast.walk(tree))
    return {
        "doc": docstring.partition("\n")[0],
        "lines": source.count(b"\n"),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "functions": sum(isinstance(node, _FUNCTIONS) for node in nodes),
        "imports": sorted({name for node in nodes for name in _imported(node)}),
    }


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno or 1}: {error.msg}"
    return f"{type(error).__name__}: {error}"


def _imported(node: ast.AST) -> Iterator[str]:
    """Yields the top-level modules that a statement imports; relative imports name none."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _python_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _NOT_OURS]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
