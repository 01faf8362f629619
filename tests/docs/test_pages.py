"""What the pages say about the rest of the tree is so: links, lists, names, made pages."""

from __future__ import annotations

import inspect
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest

from docs.markdown import DOCUMENTS, ROOT, blocks
from rowqueue import Worker, errors
from rowqueue.cli import main

DOCS = ROOT / "docs"
MADE = runpy.run_path(str(ROOT / ".ci" / "sql_reference.py"))
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Returns what a link may name on a page, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            target, _, anchor = link.partition("#")
            page = (document.parent / target).resolve() if target else document
            assert page.exists(), link
            assert not anchor or anchor in anchors(page), link


def test_the_readme_links_every_page() -> None:
    linked = {(ROOT / link).resolve() for link in LINK.findall(text("README.md"))}
    assert {page.resolve() for page in DOCS.glob("*.md")} <= linked
    decisions = {DOCS / "adr" / link for link in LINK.findall(text("docs/adr/README.md"))}
    assert set(DOCS.glob("adr/0*.md")) == decisions


def test_the_sql_reference_is_fresh(db: psycopg.Connection[Any]) -> None:
    assert MADE["reference"](db) == text("docs/sql-reference.md"), "run: make sql-reference"


def test_the_transitions_are_fresh() -> None:
    assert MADE["transitions"]() == text("docs/transitions.md"), "run: make sql-reference"


def test_the_state_picture_is_the_same_everywhere() -> None:
    pictures = [
        block.text
        for page in ("README.md", "docs/concepts.md")
        for block in blocks(ROOT / page)
        if "enqueue\n" in block.text and "▼" in block.text
    ]
    assert len(pictures) == 2
    assert len(set(pictures)) == 1


def test_the_readmes_commands_name_extras_that_exist() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    commands = re.findall(r"^python3 -m venv .+$", text("README.md"), re.MULTILINE)
    extras = [extra for command in commands for extra in re.findall(r"\.\[(\w+)\]", command)]
    assert extras == ["embedded", "test"]
    assert set(extras) <= set(project["optional-dependencies"])


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(main, "rowqueue")))
def test_the_command_line_page_has_every_command_and_option(
    path: str, command: click.Command
) -> None:
    page = text("docs/cli.md")
    assert path in page
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"`{parameter.opts[0]}" in page, parameter.opts[0]


def test_the_python_page_has_every_setting_and_error() -> None:
    page = text("docs/python.md")
    settings = set(inspect.signature(Worker).parameters) - {"dsn"}
    table = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    assert settings == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    tree = set(re.findall(r"[├└]── (?:psycopg\.)?(\w+)", page))
    assert set(errors.__all__) <= tree


def test_contributing_lists_every_target() -> None:
    targets = re.findall(r"^([a-z0-9 -]+):.*## ", text("Makefile"), re.MULTILINE)
    listed = re.findall(r"^\| (`[^|]+`) \|", text("docs/contributing.md"), re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`([^`]+)`", cell)}
    assert {name for target in targets for name in target.split()} <= names
