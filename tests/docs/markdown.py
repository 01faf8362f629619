"""The fenced blocks of a Markdown document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```\n"
    r"(?:\n*^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        document: the file that it stands in.
        line: the line of its first line, from 1.
        language: the word after the opening fence.
        text: what is between the fences.
        not_run_because: the reason that the comment above it gives, if there is one.
        output: the block of language ``text`` that follows it at once, if there is one.
    """

    document: Path
    line: int
    language: str
    text: str
    not_run_because: str
    output: str | None

    def __str__(self) -> str:
        """Returns where it stands, as a compiler would say it."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """Returns the blocks of a document, each with the output that the document shows for it.

    Raises:
        ValueError: a fence is left over, since a block has no end or is indented.
    """
    source = document.read_text(encoding="utf-8")
    left_over = _BLOCK.sub("", source)
    if "```" in left_over:
        raise ValueError(f"{document}: a fence without its partner")
    return [
        Block(
            document,
            source.count("\n", 0, found.start("text")) + 1,
            found["language"],
            found["text"],
            found["reason"] or "",
            found["output"],
        )
        for found in _BLOCK.finditer(source)
    ]
