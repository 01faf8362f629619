"""Which database a command uses."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from support.command import NOWHERE, invoke


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["health", "--dsn", "{dsn}"], {"ROWQUEUE_DSN": NOWHERE}),
        (["--dsn", "{dsn}", "health"], {"ROWQUEUE_DSN": NOWHERE}),
        (["--dsn", NOWHERE, "health", "--dsn", "{dsn}"], {}),
        (["health"], {"ROWQUEUE_DSN": "{dsn}", "DATABASE_URL": NOWHERE}),
        (["health"], {"ROWQUEUE_DSN": "", "DATABASE_URL": "{dsn}", "PGHOST": "nowhere.invalid"}),
        (["jobs", "list"], {"DATABASE_URL": "{dsn}"}),
    ],
)
def test_the_dsn_comes_from_the_first_place_that_has_one(
    dsn: str, args: list[str], env: dict[str, str]
) -> None:
    result = invoke(
        *(arg.format(dsn=dsn) for arg in args),
        env={name: value.format(dsn=dsn) for name, value in env.items()},
    )
    assert result.exit_code == 0, result.stderr


def test_without_a_dsn_libpqs_own_variables_count(dsn: str) -> None:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    parts = conninfo_to_dict(dsn)
    env = {names[name]: str(value) for name, value in parts.items() if name in names}
    assert invoke("health", env=env | {"PGDATABASE": str(parts["dbname"])}).exit_code == 0


def test_a_dsn_that_names_a_driver_is_understood(dsn: str) -> None:
    named = dsn.replace("postgresql://", "postgresql+psycopg://")
    assert invoke("health", env={"DATABASE_URL": named}).exit_code == 0
