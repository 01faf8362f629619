"""The mutants that no test can notice, because they make no difference, each with its reason."""

from __future__ import annotations

from mutants.guards import Mutant

# By file, kind, and how the line begins.
ENOUGH_IS_SAID = "a live job with a token runs, and one without waits: the token has said it"
ONE_ROW = "watermarks has one row, but within the statements that replace it"
INDEX_ORDER = "the one index that the condition can use gives the rows in this order"

EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("4_run/extend_leases.sql", "status", "where j.id ="): ENOUGH_IS_SAID,
    ("4_run/report_progress.sql", "status", "where j.id ="): ENOUGH_IS_SAID,
    ("4_run/_raise_lost.sql", "status", "elsif v_job.token ="): (
        "who calls it has found no running job under this token, so one that has it is finished"
    ),
    ("5_finish/_finish.sql", "status", "where j.id ="): ENOUGH_IS_SAID,
    ("5_finish/_lock_running.sql", "status", "where j.id ="): ENOUGH_IS_SAID,
    ("3_claim/_promote.sql", "order", "and j.run_after >= (select w.due_floor"): ONE_ROW,
    ("3_claim/_promote.sql", "order", "v_due_floor timestamptz"): ONE_ROW,
    ("3_claim/_promote.sql", "order", "order by j.run_after"): INDEX_ORDER,
    ("3_claim/claim_next.sql", "order", "order by j.ticket"): INDEX_ORDER,
    (
        "7_observe/get_job.sql",
        "status",
        "where j.id = get_job.job_id and j.status in ('completed'",
    ): ("a live job has no completed_at, and that is compared too"),
    ("6_maintain/_raise_floors.sql", "order", "order by j."): INDEX_ORDER,
    ("6_maintain/_sweep.sql", "order", "order by j."): INDEX_ORDER,
    ("6_maintain/_raise_floors.sql", "order", "select w.*"): ONE_ROW,
    ("6_maintain/purge_finished.sql", "order", "order by c.relname"): (
        "months are dropped in any order; of two purges, the one that waits gives up after 100 ms"
    ),
    ("6_maintain/grant_roles.sql", "order", "order by g.role"): "grants are given in any order",
    ("6_maintain/_sweep.sql", "order", "select w.*"): ONE_ROW,
}


def reason_for(mutant: Mutant) -> str | None:
    """Why a mutant makes no difference; None when it does."""
    for (file, kind, line), reason in EQUIVALENT.items():
        if mutant.file == file and mutant.kind == kind and mutant.text.startswith(line):
            return reason
    return None
