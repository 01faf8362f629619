"""The commands, and how they explain themselves."""

from __future__ import annotations

import re

import pytest

from support.command import commands, invoke, process


def test_there_are_the_commands_of_the_contract() -> None:
    assert {" ".join(path) for path in commands()} >= {
        "demo", "dev", "migrate", "worker", "enqueue", "health", "tick", "sql",
        "jobs list", "jobs show", "jobs watch", "jobs cancel", "jobs retry",
    }  # fmt: skip


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_help_teaches_by_example(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert re.search(r"^  Examples:\n    (.*\n)*?.*rowqueue ", result.output, re.MULTILINE)
    assert max(map(len, result.output.splitlines())) <= 100
    assert "..." not in result.output.replace("[ARGS]...", "")


def test_a_bare_command_shows_the_help() -> None:
    assert invoke().output == invoke("--help").output


def test_the_version_is_told() -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output.startswith("rowqueue")


def test_python_m_rowqueue_is_the_command() -> None:
    with process("--version") as child:
        assert child.communicate()[0] == invoke("--version").output
        assert child.returncode == 0
