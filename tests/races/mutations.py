"""What can be taken out of the floors, each a mutation of a file in ``sql/``."""

from __future__ import annotations

from races.mutation import Edit, Mutation

RAISE = "6_maintain/_raise_floors.sql"

# The first rule: whoever draws has a transaction id first, and draws from the sequence itself.
DRAWN_BEFORE_THE_ID = Mutation(
    "tickets and clocks are drawn before the transaction has an id",
    (
        Edit("1_tables/lanes.sql", "pg_catalog.pg_current_xact_id() is not null", "true"),
        Edit("0_base/clock.sql", "pg_catalog.pg_current_xact_id() is not null", "true"),
    ),
)
CACHED_TICKETS = Mutation(
    "each session keeps tickets in store",
    statements=("alter sequence rowqueue.tickets cache 100",),
)
TICKET_FROM_SNAPSHOT = Mutation(
    "a ticket is the highest floor that the snapshot shows",
    (
        Edit(
            "1_tables/lanes.sql",
            "pg_catalog.nextval('rowqueue.tickets'::pg_catalog.regclass)",
            "(select 0 * pg_catalog.nextval('rowqueue.tickets') + max(l.floor) "
            "from rowqueue.lanes as l)",
        ),
    ),
)

# The second rule: two transactions, and what lies between them.
NOT_RIPE = Mutation(
    "a note is used while transactions older than it are in progress",
    (Edit(RAISE, "pg_snapshot_xmin(v_snapshot) <= v_note.xid or ", ""),),
)
RIPE_BY_SESSIONS = Mutation(
    "a note is ripe when no session has an older transaction",
    (
        Edit(
            RAISE,
            "pg_snapshot_xmin(v_snapshot) <= v_note.xid or ",
            "exists (select from pg_stat_activity as a "
            "where a.backend_xid::text::xid8 <= v_note.xid) or ",
        ),
    ),
)
XMAX_FOR_ID = Mutation(
    "a note carries the xmax of its snapshot instead of its own id",
    (Edit(RAISE, "pg_current_xact_id(), v_ticket", "pg_snapshot_xmax(v_snapshot), v_ticket"),),
)
READ_AFTER_THE_ID = Mutation(
    "the sequences are read by a transaction that has an id",
    (Edit(RAISE, "if pg_current_xact_id_if_assigned() is not null then", "if false then"),),
)
NOT_THE_NOTED = Mutation(
    "floors rise to what the sequences say now instead of what was noted",
    (
        Edit(RAISE, "_raise_lanes(v_note.ticket)", "_raise_lanes(v_ticket)"),
        Edit(RAISE, "least(v_note.seen_at,", "least(v_clock,"),
    ),
)

# What is there stays above the floors, locked or not.
_UNLOCKED = "limit 1\n            for update skip locked\n        ) as "
LOCKED_TICKETS_OVERLOOKED = Mutation(
    "the smallest claimable ticket is looked for among unlocked jobs",
    (Edit(RAISE, "limit 1\n        ) as claimable", f"{_UNLOCKED}claimable"),),
)
LOCKED_LIVE_OVERLOOKED = Mutation(
    "the smallest live ticket is looked for among unlocked jobs",
    (Edit(RAISE, "limit 1\n        ) as live", f"{_UNLOCKED}live"),),
)
RUNNING_JOBS_OVERLOOKED = Mutation(
    "the smallest live ticket is looked for among waiting jobs",
    (
        Edit(
            RAISE,
            "j.ticket >= l.live_floor\n",
            "j.ticket >= l.live_floor and j.status = 'pending'\n",
        ),
    ),
)
LOCKED_DUE_TIMES_OVERLOOKED = Mutation(
    "the earliest due time is looked for among unlocked jobs",
    (
        Edit(
            RAISE,
            "order by j.run_after\n                limit 1",
            "order by j.run_after\n                limit 1\n                for update skip locked",
        ),
    ),
)

# The ceiling: what claims let the reaper know.
NO_CEILING = Mutation(
    "a claim leaves the ceiling where it is",
    (Edit("3_claim/claim_next.sql", "if v_last >= any (v_level.ceilings) then", "if false then"),),
)
CEILING_AT_THE_LAST = Mutation(
    "the ceiling stands at the last ticket claimed instead of beyond it",
    (Edit("3_claim/claim_next.sql", " + least(16 * claim_next.max_jobs, 1000)", ""),),
)

UNNOTICED_CHANGES = Mutation(
    "what is changed by hand is not put right",
    statements=("drop trigger changed_by_hand on rowqueue.jobs",),
)

NOTES_ARE_NEVER_FOREIGN = Mutation(
    "a note's transaction id is believed, whatever server it comes from",
    (Edit(RAISE, "v_void := v_note.xid >= pg_snapshot_xmax(v_snapshot)", "v_void := false"),),
)

NO_FLOORS = Mutation(
    "floors are never raised",
    (Edit(RAISE, "if pg_current_xact_id_if_assigned() is not null then", "if true then"),),
)

# The third rule: a floor is only speed.
NO_SWEEP = Mutation(
    "nothing looks below the floors",
    (Edit("6_maintain/tick.sql", "v_found := rowqueue._sweep();", ""),),
)
