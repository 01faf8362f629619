-- rowqueue: a job queue in PostgreSQL 15 and later. No extension, no superuser.
--
-- This file is the map: what follows are the files of the database in the order a job travels. psql -1 -f sql/install.sql installs
-- them; so does rowqueue migrate, which keeps track of versions; rowqueue sql prints them as one script. Each file can be run again.
--
-- A job is a row of rowqueue.jobs. It is pending, running, and then completed, failed or cancelled. Pending and running
-- jobs live in one partition that stays small (jobs_live); finished ones are moved to others, by month, in the statement that
-- finishes them.
--
-- A job that may run now holds a ticket. An index on (queue, priority, ticket) is the claim order, so a claim reads the head of
-- a lane, which is a queue and a priority, and stops: its cost does not depend on what waits behind, on what is delayed (no
-- ticket yet), or on what is finished (elsewhere). Nor does it depend on what is gone but cannot be cleaned up while
-- somebody holds a snapshot: each lane has a floor below which nothing waits, and the scan begins there. A claim changes nothing
-- that an index mentions, so it writes no index entries (a HOT update); the job keeps its ticket while it runs.
--
-- A claim draws a token, and only who names the token may report on the job. A worker that was thought dead and comes back finds
-- its token void, and every write it tries is refused, in the transaction in which it tries it. A claim is a lease: a
-- worker that lives extends it, and reap_stuck hands on the jobs of one that does not.
--
-- What is periodic is in tick(). Anyone may call it, any number at a time. Claims promote due jobs by themselves, so a
-- queue without anyone who ticks still works; only its floors stay low and its stuck jobs stay stuck.
--
-- Names that begin with _ are private: the owner's. All else is documented by comments (\df+ rowqueue.*), and is callable
-- by the roles that its comment names.
\set ON_ERROR_STOP on

-- What stands here without a schema is PostgreSQL's own, whatever others have left in the search_path of whoever installs.
set local search_path = pg_catalog, pg_temp;

-- Base: the schema, who may use it, errors, time, ids, JSON
\ir 0_base/schema.sql
\ir 0_base/roles.sql
\ir 0_base/grants.sql
\ir 0_base/errors.sql
\ir 0_base/clock.sql
\ir 0_base/ids.sql
\ir 0_base/json.sql
\ir 0_base/setting.sql
\ir 0_base/types.sql

-- Tables: the jobs in their two rooms, the lanes with their floors, what the maintenance remembers
\ir 1_tables/jobs.sql
\ir 1_tables/lanes.sql
\ir 1_tables/watermarks.sql
\ir 1_tables/identity.sql

-- Enqueue: - -> pending
\ir 2_enqueue/_job_problem.sql
\ir 2_enqueue/_wake_worker.sql
\ir 2_enqueue/_insert_jobs.sql
\ir 2_enqueue/_insert_keyed_jobs.sql
\ir 2_enqueue/enqueue.sql
\ir 2_enqueue/enqueue_many.sql

-- Claim: pending -> running
\ir 3_claim/_check_claim.sql
\ir 3_claim/_check_identity.sql
\ir 3_claim/_promote.sql
\ir 3_claim/claim_next.sql
\ir 3_claim/mark_idle.sql

-- Run: running -> running
\ir 4_run/_raise_lost.sql
\ir 4_run/report_progress.sql
\ir 4_run/extend_leases.sql
\ir 4_run/extend_lease.sql

-- Finish: running -> completed, failed, cancelled, or pending again
\ir 5_finish/_check_delay.sql
\ir 5_finish/_lock_running.sql
\ir 5_finish/_finish.sql
\ir 5_finish/_requeue.sql
\ir 5_finish/_end_attempt.sql
\ir 5_finish/complete_many.sql
\ir 5_finish/complete.sql
\ir 5_finish/fail_with_backoff.sql
\ir 5_finish/release.sql
\ir 5_finish/cancel.sql
\ir 5_finish/retry.sql

-- Maintain: what is periodic, and what a DBA does
\ir 6_maintain/_end_crash.sql
\ir 6_maintain/reap_stuck.sql
\ir 6_maintain/_any_running.sql
\ir 6_maintain/_raise_floors.sql
\ir 6_maintain/_stray_lanes.sql
\ir 6_maintain/_sweep.sql
\ir 6_maintain/_changed_by_hand.sql
\ir 6_maintain/_make_partitions.sql
\ir 6_maintain/tick.sql
\ir 6_maintain/tick_every.sql
\ir 6_maintain/purge_finished.sql
\ir 6_maintain/set_notify.sql
\ir 6_maintain/_forget_floors.sql
\ir 6_maintain/confirm_identity.sql
\ir 6_maintain/grant_roles.sql

-- Observe
\ir 7_observe/job.sql
\ir 7_observe/get_job.sql
\ir 7_observe/list_jobs.sql
\ir 7_observe/health.sql
\ir 7_observe/version.sql

-- Doctor: what is wrong, and last of all what was installed
\ir 8_doctor/finding.sql
\ir 8_doctor/blueprint.sql
\ir 8_doctor/_catalogue.sql
\ir 8_doctor/_find_identity_doubts.sql
\ir 8_doctor/_find_schema_drift.sql
\ir 8_doctor/_find_missing_grants.sql
\ir 8_doctor/_find_broken_invariants.sql
\ir 8_doctor/_find_sequence_gaps.sql
\ir 8_doctor/_find_held_snapshots.sql
\ir 8_doctor/_find_dead_rows.sql
\ir 8_doctor/_find_partition_gaps.sql
\ir 8_doctor/_find_unserved_queues.sql
\ir 8_doctor/_find_unsafe_settings.sql
\ir 8_doctor/_find_old_server.sql
\ir 8_doctor/doctor.sql
\ir 8_doctor/recorded.sql
