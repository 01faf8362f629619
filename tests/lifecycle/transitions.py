"""The transition table: what each function makes of a job, by the state it finds it in.

It drives the tests beside it, and the documents print it. A cell holds one of

- a status: the call succeeds, and the job has that status then;
- an SQLSTATE: the call raises it, and nothing changes;
- what a batch form says of a job that it leaves in its status (``already``, ``lost``, ``cancel``,
  ``extended``), since it raises for none;
- ``-``: the call succeeds and has nothing to do or to show.

An *expired* job is one whose lease ran out and which nobody has reaped yet; a *timed out* one has a
lease, but runs longer than its ``timeout_ms``. *Same token* is the token of the job's last claim.
"""

from __future__ import annotations

REPORTS = """
                                    | complete  | complete_many | fail_with_backoff | release
pending                             | RQ101     | lost          | RQ101             | RQ101
pending (delayed)                   | RQ101     | lost          | RQ101             | RQ101
pending (retrying)                  | RQ101     | lost          | RQ101             | RQ101
running                             | completed | completed     | pending           | pending
running (last attempt)              | completed | completed     | failed            | pending
running (expired)                   | completed | completed     | pending           | pending
running (last attempt, expired)     | completed | completed     | failed            | pending
running (timed out)                 | completed | completed     | pending           | pending
running (cancel requested)          | completed | completed     | cancelled         | cancelled
running (cancel requested, expired) | completed | completed     | cancelled         | cancelled
running, other token                | RQ101     | lost          | RQ101             | RQ101
completed, same token               | completed | already       | RQ102             | RQ102
completed, other token              | RQ101     | lost          | RQ101             | RQ101
failed, same token                  | RQ102     | lost          | RQ102             | RQ102
failed, other token                 | RQ101     | lost          | RQ101             | RQ101
cancelled, same token               | RQ102     | lost          | RQ102             | RQ102
cancelled, other token              | RQ101     | lost          | RQ101             | RQ101
no such job                         | RQ001     | lost          | RQ001             | RQ001
"""

HEARTBEATS = """
                                    | report_progress | extend_lease | extend_leases
pending                             | RQ101           | RQ101        | lost
pending (delayed)                   | RQ101           | RQ101        | lost
pending (retrying)                  | RQ101           | RQ101        | lost
running                             | running         | running      | extended
running (last attempt)              | running         | running      | extended
running (expired)                   | running         | running      | extended
running (last attempt, expired)     | running         | running      | extended
running (timed out)                 | running         | running      | extended
running (cancel requested)          | running         | running      | cancel
running (cancel requested, expired) | running         | running      | cancel
running, other token                | RQ101           | RQ101        | lost
completed, same token               | RQ102           | RQ102        | lost
completed, other token              | RQ101           | RQ101        | lost
failed, same token                  | RQ102           | RQ102        | lost
failed, other token                 | RQ101           | RQ101        | lost
cancelled, same token               | RQ102           | RQ102        | lost
cancelled, other token              | RQ101           | RQ101        | lost
no such job                         | RQ001           | RQ001        | lost
"""

REQUESTS = """
                                    | claim_next | cancel    | retry   | reap_stuck | get_job
pending                             | running    | cancelled | RQ102   | -          | pending
pending (delayed)                   | -          | cancelled | RQ102   | -          | pending
pending (retrying)                  | -          | cancelled | RQ102   | -          | pending
running                             | -          | running   | RQ102   | -          | running
running (last attempt)              | -          | running   | RQ102   | -          | running
running (expired)                   | -          | running   | RQ102   | pending    | running
running (last attempt, expired)     | -          | running   | RQ102   | failed     | running
running (timed out)                 | -          | running   | RQ102   | pending    | running
running (cancel requested)          | -          | cancelled | RQ102   | -          | running
running (cancel requested, expired) | -          | cancelled | RQ102   | cancelled  | running
completed                           | -          | RQ102     | RQ102   | -          | completed
failed                              | -          | RQ102     | pending | -          | failed
cancelled                           | -          | cancelled | pending | -          | cancelled
no such job                         | -          | RQ001     | RQ001   | -          | -
"""


def cells(table: str) -> dict[tuple[str, str], str]:
    """Returns the cells of one table by (status, function)."""
    header, *lines = [
        [cell.strip() for cell in line.split("|")] for line in table.strip("\n").splitlines()
    ]
    return {
        (line[0], function): outcome
        for line in lines
        for function, outcome in zip(header[1:], line[1:], strict=True)
    }


TRANSITIONS = {**cells(REPORTS), **cells(HEARTBEATS), **cells(REQUESTS)}
"""(status, function) -> next status or SQLSTATE: all three tables in one."""


def as_markdown() -> str:
    """Returns the tables as Markdown: reports of a worker, its heartbeats, and all other calls."""
    return "\n\n".join(_markdown(table) for table in (REPORTS, HEARTBEATS, REQUESTS)) + "\n"


def _markdown(table: str) -> str:
    found = cells(table)
    statuses = list(dict.fromkeys(status for status, _ in found))
    functions = list(dict.fromkeys(function for _, function in found))
    lines = [
        ["", *(f"`{function}`" for function in functions)],
        ["---"] * (len(functions) + 1),
        *([status, *(found[status, function] for function in functions)] for status in statuses),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
