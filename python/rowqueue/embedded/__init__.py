"""A PostgreSQL server of one's own, for demos, development and tests.

    with EmbeddedPostgres() as postgres:
        psycopg.connect(postgres.dsn)

It prints nothing, needs no rights, also runs for root, listens on a loopback port behind a
password, and ends with the process that started it.
"""

from rowqueue.embedded.account import Account
from rowqueue.embedded.binaries import SUPPORTED, Binaries, Source, find_binaries
from rowqueue.embedded.cluster import dev_folder
from rowqueue.embedded.errors import EmbeddedError, EmbeddedUnavailable
from rowqueue.embedded.server import EmbeddedPostgres

__all__ = [
    "SUPPORTED",
    "Account",
    "Binaries",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedUnavailable",
    "Source",
    "dev_folder",
    "find_binaries",
]
