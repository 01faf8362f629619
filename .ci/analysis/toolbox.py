"""An environment of their own for the tools, at the versions of ``tools.txt``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PINNED = Path(__file__).with_name("tools.txt")


class Toolbox:
    """The folder where the tools are installed."""

    def __init__(self, folder: Path) -> None:
        """Installs what is missing there."""
        self.folder = folder
        self._bin = folder / "venv" / "bin"
        if not (self._bin / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        pip = [str(self._bin / "pip"), "install", "-qq", "--requirement", str(_PINNED)]
        subprocess.run(pip, check=True)

    def run(self, tool: str, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Runs a tool, whatever it exits with."""
        return subprocess.run(
            [self._bin / tool, *arguments], capture_output=True, text=True, check=False
        )
