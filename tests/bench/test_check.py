"""Lost and duplicated jobs are counted, whoever handled them."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from bench.harness.check import check
from bench.harness.driver import DriverFailed, Handled


def handled(*numbers: int) -> Handled:
    """What a worker process handled, at whatever times."""
    return Handled(numbers, [0.0] * len(numbers))


def test_all_jobs_handled_once_is_nothing_to_speak_of() -> None:
    seen = check(4, [handled(3, 0), handled(1, 2)])
    assert (seen.lost, seen.duplicated, seen.void) == (0, 0, "")


def test_a_job_that_nobody_handled_is_lost() -> None:
    seen = check(3, [handled(0, 2)])
    assert (seen.lost, seen.duplicated, seen.void) == (1, 0, "1 lost")


def test_a_job_handled_by_two_processes_is_duplicated() -> None:
    seen = check(3, [handled(0, 1, 2), handled(1)])
    assert (seen.lost, seen.duplicated, seen.void) == (0, 1, "1 duplicated")


def test_a_job_handled_three_times_is_two_too_many() -> None:
    assert check(2, [handled(0, 1, 1, 1)]).duplicated == 2


def test_a_lost_job_is_not_made_up_for_by_a_duplicated_one() -> None:
    assert check(3, [handled(0, 1, 1)]).void == "1 lost, 1 duplicated"


def test_a_number_that_was_never_enqueued_is_one_job_too_many() -> None:
    assert check(2, [handled(5, 6, 7)], first=5).duplicated == 1


def test_what_a_worker_leaves_behind_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "out"
    numbers, starts = array("q", [7, 8]), array("d", [1.5, 2.5])
    file.write_bytes((2).to_bytes(8, "little") + numbers.tobytes() + starts.tobytes())
    found = Handled.read(file)
    assert (list(found.numbers), list(found.starts)) == ([7, 8], [1.5, 2.5])


def test_a_file_cut_short_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes((2).to_bytes(8, "little") + array("q", [7, 8]).tobytes() + bytes(8))
    with pytest.raises(DriverFailed, match="other than 2 jobs"):
        Handled.read(file)
