-- One table, two rooms. jobs_live holds pending and running jobs and stays as small as the work in hand; jobs_finished holds
-- the others, by month of completed_at, written once and dropped a month at a time. People query rowqueue.jobs; the
-- functions name the rooms. A job moves from one room to the other in the one statement that finishes it.
--
-- Columns stand in the order of their alignment: wide fixed ones first, texts last, so that no byte is lost to padding.
-- The view rowqueue.job shows them in a reader's order.
-- Both sequences end well below the largest bigint, so that what lies some way beyond the last number is a number still.
create sequence if not exists rowqueue.tickets as bigint maxvalue 9000000000000000000 cache 1;
comment on sequence rowqueue.tickets is
'The order of claiming: a job that may run now draws a ticket. CACHE 1, for the floors rely on its last value.';

create sequence if not exists rowqueue.tokens as bigint maxvalue 9000000000000000000 cache 1;
comment on sequence rowqueue.tokens is
'Fencing tokens: every claim draws one. It only grows and is never reset, not by a retry, a release or a restore.';

create table if not exists rowqueue.jobs (
    id uuid not null,
    workspace_id uuid,
    ticket bigint,
    token bigint,
    created_at timestamptz not null,
    run_after timestamptz not null,
    started_at timestamptz,
    completed_at timestamptz,
    lease_until timestamptz,
    cancel_requested_at timestamptz,
    priority int not null default 0,
    attempts int not null default 0,
    max_attempts int not null default 3,
    timeout_ms int not null default 600000,
    crashes int not null default 0,
    uncharged_crashes int not null default 0,
    claimed_alone boolean not null default false,
    status text not null default 'pending',
    queue text not null default 'default',
    job_type text not null,
    unique_key text,
    worker text,
    cancel_reason text,
    error text,
    last_error text,
    payload jsonb not null default '{}',
    progress jsonb,
    result jsonb,
    constraint jobs_status_known check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    constraint jobs_completed_at_when_finished check ((status in ('pending', 'running')) = (completed_at is null)),
    constraint jobs_running_has_lease check (status <> 'running' or (token is not null and lease_until is not null)),
    constraint jobs_run_after_finite check (isfinite(run_after)),
    constraint jobs_counts_in_range check (attempts >= 0 and max_attempts between 1 and 1000 and timeout_ms > 0)
) partition by list (status);

create table if not exists rowqueue.jobs_live
partition of rowqueue.jobs (constraint jobs_live_pkey primary key (id))
for values in ('pending', 'running')
with (
    -- A queue turns over: clear up after thousands of dead rows, not after a fifth of a backlog of millions.
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2,
    -- Room on each page for a second version of each of its rows, so that a claim can be a HOT update.
    fillfactor = 50
);

create table if not exists rowqueue.jobs_finished
partition of rowqueue.jobs
for values in ('completed', 'failed', 'cancelled')
partition by range (completed_at);

-- The safety net: what finishes in a month that has no partition yet. tick() makes the months ahead of time.
create table if not exists rowqueue.jobs_finished_default
partition of rowqueue.jobs_finished (constraint jobs_finished_default_pkey primary key (id)) default;

-- Claims, heartbeats and progress reports are HOT updates, which write no index entries: no index mentions, in a column or in its
-- condition, what they change, least of all status, token or lease_until. So a running job keeps its ticket, and its place in
-- the claim order; three bounds of its lane (lanes.sql) tell where claimable and where running jobs can be.

-- The claim order, and nothing else: a claim reads the head of a lane and stops.
create index if not exists jobs_live_claim_idx on rowqueue.jobs_live (queue, priority, ticket)
where ticket is not null;

-- What waits for its time.
create index if not exists jobs_live_delayed_idx on rowqueue.jobs_live (queue, run_after)
where ticket is null;

create unique index if not exists jobs_live_unique_key_idx on rowqueue.jobs_live (workspace_id, job_type, unique_key)
nulls not distinct
where unique_key is not null;

create index if not exists jobs_live_workspace_idx on rowqueue.jobs_live (workspace_id, id)
where workspace_id is not null;
create index if not exists jobs_finished_workspace_idx on rowqueue.jobs_finished (workspace_id, id)
where workspace_id is not null;
create index if not exists jobs_finished_failed_idx on rowqueue.jobs_finished (created_at)
where status = 'failed';
create index if not exists jobs_finished_completed_at_idx on rowqueue.jobs_finished using brin (completed_at);

revoke all on table rowqueue.jobs, rowqueue.jobs_live, rowqueue.jobs_finished, rowqueue.jobs_finished_default from public;
call rowqueue._grant('select, insert, update, delete on table rowqueue.jobs', 'admin');

comment on table rowqueue.jobs is 'Every job, in every state: one row each. Read it with plain SQL; change it with the functions.';
comment on table rowqueue.jobs_live is 'The pending and running jobs: a partition of rowqueue.jobs.';
comment on table rowqueue.jobs_finished is 'The completed, failed and cancelled jobs, by month of completed_at: a partition of rowqueue.jobs.';
comment on table rowqueue.jobs_finished_default is 'Finished jobs whose month has no partition. Empty while tick() is called now and then.';

comment on column rowqueue.jobs.id is 'The job, a UUIDv7: ids made later are larger.';
comment on column rowqueue.jobs.workspace_id is 'The workspace (tenant) that the job belongs to, or null.';
comment on column rowqueue.jobs.ticket is 'Its place in the claim order, which it keeps while it runs. Null while the job is delayed or finished.';
comment on column rowqueue.jobs.token is 'The fencing token of the latest claim. Only who names it may report on the job. Null while the job waits.';
comment on column rowqueue.jobs.created_at is 'When it was enqueued.';
comment on column rowqueue.jobs.run_after is 'Not to be claimed before this instant: a delayed job, or the backoff before a retry.';
comment on column rowqueue.jobs.started_at is 'When the present or last attempt was claimed; timeout_ms counts from here. Null while the job waits.';
comment on column rowqueue.jobs.completed_at is 'When it completed, failed for good or was cancelled.';
comment on column rowqueue.jobs.lease_until is 'The worker must extend its lease before this instant, or the job is handed on.';
comment on column rowqueue.jobs.cancel_requested_at is 'When somebody asked the running job to stop.';
comment on column rowqueue.jobs.priority is 'Higher runs first; -32768 to 32767.';
comment on column rowqueue.jobs.attempts is 'Attempts begun and not given back.';
comment on column rowqueue.jobs.max_attempts is 'How many attempts it gets in all (1 to 1000).';
comment on column rowqueue.jobs.timeout_ms is 'How long one attempt may take, in milliseconds.';
comment on column rowqueue.jobs.crashes is 'How often a lease on it ran out. A job with crashes is handed out alone, so that a killer takes no others with it.';
comment on column rowqueue.jobs.uncharged_crashes is 'Crashes that cost no attempt, since another job of the same claim may have been the cause.';
comment on column rowqueue.jobs.claimed_alone is 'The present claim was for this job alone, so a crash is its own doing and costs the attempt.';
comment on column rowqueue.jobs.status is 'pending, running, completed, failed or cancelled. A delayed or retrying job is pending.';
comment on column rowqueue.jobs.queue is 'The queue it waits in.';
comment on column rowqueue.jobs.job_type is 'What to do: sync, export, … It picks the handler.';
comment on column rowqueue.jobs.unique_key is 'At most one pending or running job of a workspace and job type has this key.';
comment on column rowqueue.jobs.worker is 'Who claimed it last.';
comment on column rowqueue.jobs.cancel_reason is 'Why it is to stop, as cancel() was told.';
comment on column rowqueue.jobs.error is 'Why it failed for good, or why it was cancelled.';
comment on column rowqueue.jobs.last_error is 'Why the latest failed attempt failed.';
comment on column rowqueue.jobs.payload is 'What to do it with: a JSON object.';
comment on column rowqueue.jobs.progress is 'How far it is: {"current": n, "total": n, "message": "…"}.';
comment on column rowqueue.jobs.result is 'What it came to, once completed.';
