"""Tests that by their nature can't go through a transaction pooler, and why.

A name is the beginning of a test's, as pytest prints it: a folder, a file or a test.
"""

from __future__ import annotations

import pytest

_LISTENS = "it listens, and who listens through a pooler hears nothing"
_WATCHES = "it sees by its process id that a session waits, and a pooler makes up process ids"
_LOCKS = "it holds a lock of its session, and a pooler lends that session to others"
_COUNTS = "it counts or ends the server's sessions, and a pooler keeps some and opens new ones"
_KEEPS = "it relies on what it left in its session, and a pooler lends that session to others"
_DIRECT = "it shows what is said where no pooler stands in between"
_WAITS = "through a pooler the worker sets no lock_timeout, which would leak, and so it waits"

_NEED_THE_SERVER = {
    "contract/test_exploits.py": _KEEPS,
    "docs/test_documents.py::test_a_reader_gets_what_the_document_shows[docs/cli.md": _DIRECT,
    "migrations/test_migrate.py": _LOCKS,
    "model": _WATCHES,
    "python/cli/test_exit_codes.py::test_a_database_that_goes_away": _COUNTS,
    "python/test_benchmark.py::test_a_direct_connection": _DIRECT,
    "python/test_benchmark.py::test_two_runs": _LOCKS,
    "python/test_client.py::test_nothing_is_opened": _COUNTS,
    "python/test_demo.py::test_two_demos": _LOCKS,
    "python/test_worker_faults.py::test_a_row_that_somebody_locked": _WAITS,
    "python/test_worker_faults.py::test_an_outcome_whose_reply": _COUNTS,
    "python/test_worker_faults.py::test_lost_connections": _COUNTS,
    "python/test_worker_faults.py::test_reconnecting": _COUNTS,
    "python/test_worker_processes.py::test_a_signal_that_is_meant": _LOCKS,
    "python/test_worker_processes.py::test_progress_shows": _LOCKS,
    "python/test_worker_shutdown.py::test_nothing_is_left_behind": _COUNTS,
    "python/test_worker_shutdown.py::test_the_first_signal": _LOCKS,
    "python/test_worker_shutdown.py::test_the_second_signal": _LOCKS,
    "python/test_worker_shutdown.py::test_what_is_not_done": _LOCKS,
    "python/test_worker_supervisor.py::test_a_child_that_dies": _COUNTS,
    "python/test_worker_supervisor.py::test_a_process_with_too_many": _COUNTS,
    "python/test_worker_supervisor.py::test_a_second_signal": _LOCKS,
    "python/test_worker_supervisor.py::test_a_signal_to_all": _LOCKS,
    "python/test_worker_supervisor.py::test_children_do_not_outlive": _COUNTS,
    "races": _WATCHES,
    "sql/claim/test_notifications.py": _LISTENS,
    "sql/enqueue/test_unique_key.py::test_batches_with_the_same_keys": _WATCHES,
    "sql/enqueue/test_unique_key.py::test_racing_enqueues": _WATCHES,
    "sql/enqueue/test_unique_key.py::test_when_the_first_rolls_back": _WATCHES,
}


def leave_out_what_needs_the_server(items: list[pytest.Item]) -> None:
    """Marks those tests to be skipped, and says why."""
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        for beginning, reason in _NEED_THE_SERVER.items():
            if name.startswith(beginning):
                item.add_marker(pytest.mark.skip(reason=f"not through a pooler: {reason}"))
