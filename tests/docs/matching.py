"""Whether a program printed what a document shows."""

from __future__ import annotations

import difflib
import re

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?"
    r"|\b\d\d:\d\d:\d\d(?:\.\d+)?\b"
)


class Ids:
    """The ids in a document, and those which they are in the database of this run."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def real(self, text: str) -> str:
        """Returns `text` with the ids of this run in place of the document's."""
        return _UUID.sub(lambda found: self._real.get(found[0], found[0]), text)

    def match(self, shown: str, printed: str) -> bool:
        """Whether `printed` is what the document shows; if so, learns the ids in it.

        Times, and the widths of columns, may differ. A line ``…`` stands for any lines, ``…``
        in a line for anything.
        """
        names: dict[str, str] = {}
        pattern = "".join(self._pattern(line, names) for line in _plain(shown))
        found = re.fullmatch(pattern, "".join(_plain(printed)))
        if found:
            self._real |= {document_id: found[name] for document_id, name in names.items()}
        return found is not None

    def check(self, shown: str, printed: str) -> None:
        """Asserts that it matches."""
        if not self.match(shown, printed):
            lines = (_plain(self.real(shown)), _plain(printed))
            raise AssertionError("".join(difflib.unified_diff(*lines, "shown", "printed", n=99)))

    def _pattern(self, line: str, names: dict[str, str]) -> str:
        """Returns what a line has to match. A new id is a group, whose name goes into `names`."""
        if line == "…\n":
            return r"(?:.*\n)*?"

        def one_id(found: re.Match[str]) -> str:
            if found[0] in self._real:
                return self._real[found[0]]
            if found[0] in names:
                return f"(?P={names[found[0]]})"
            names[found[0]] = f"id{len(names)}"
            return f"(?P<{names[found[0]]}>{_UUID.pattern})"

        literal = re.escape(line).replace(r"\-", "-").replace("…", ".*")
        return _UUID.sub(one_id, literal)


def _plain(text: str) -> list[str]:
    """Returns the lines of a text without what differs from run to run."""
    text = _TIME.sub("<time>", text).strip("\n")
    return [re.sub(r"-{2,}", "--", " ".join(line.split())) + "\n" for line in text.splitlines()]
