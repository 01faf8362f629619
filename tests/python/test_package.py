"""The wheel and the sdist carry the schema and the migrations."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from rowqueue import schema

CHECKOUT = Path(__file__).resolve().parents[2]
SQL = {path.relative_to(CHECKOUT / "sql").as_posix() for path in CHECKOUT.glob("sql/**/*.sql")}
MIGRATIONS = {path.name for path in CHECKOUT.glob("migrations/*.sql")}


def build(kind: str, into: Path) -> Path:
    """Builds a wheel or an sdist with the build backend itself."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_carries_sql_migrations_and_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"rowqueue/_sql/{name}" for name in SQL} <= names
    assert {f"rowqueue/_migrations/{name}" for name in MIGRATIONS} <= names
    assert "rowqueue/py.typed" in names
    assert not [name for name in names if not name.startswith(("rowqueue/", "rowqueue-"))]


def test_an_unpacked_wheel_renders_the_same_schema_and_knows_its_migrations(
    wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from rowqueue import schema
        assert schema.__file__.startswith(sys.argv[1]), schema.__file__
        names = [file.name for file in schema.migrations_folder().glob("*.sql")]
        sys.stdout.write(schema.render() + str(sorted(names)))
    """
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout.decode() == schema.render() + str(sorted(MIGRATIONS))


def test_the_sdist_carries_what_the_wheel_is_built_from(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"sql/{name}" for name in SQL} <= names
    assert {f"migrations/{name}" for name in MIGRATIONS} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "python/rowqueue/py.typed"} <= names
