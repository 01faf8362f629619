-- depends: 0003.delayed_index
--
-- By hand, below: what turns the tables as they were into those of sql/. It must
-- survive being run again, and must not hold a long lock on a big table.
set local lock_timeout = '5s';
drop index if exists rowqueue.jobs_live_due_idx, rowqueue.jobs_live_running_idx, rowqueue.jobs_live_reset_idx;
alter table rowqueue.jobs drop constraint if exists jobs_ticket_only_when_pending;
alter table rowqueue.watermarks drop column if exists token_floor;
alter sequence rowqueue.tickets maxvalue 9000000000000000000;
alter sequence rowqueue.tokens maxvalue 9000000000000000000;

drop index if exists rowqueue.lanes_floor_idx;
alter table rowqueue.lanes add column if not exists live_floor bigint not null default 0;
drop function if exists rowqueue._lanes_of(text[]);

-- What runs gets a ticket, and a ceiling above it.
create table if not exists rowqueue.ceilings (
    ceiling bigint not null,
    priority int not null,
    queue text not null
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

with running as (
    update rowqueue.jobs_live as j
    set ticket = rowqueue._draw_ticket()
    where j.status = 'running' and j.ticket is null
    returning j.queue, j.priority, j.ticket
)
insert into rowqueue.ceilings (queue, priority, ceiling)
select r.queue, r.priority, max(r.ticket) + 1
from running as r
group by r.queue, r.priority;

-- Copies of sql/ as it stood, written by `make freeze`.

-- sql/1_tables/jobs.sql
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

-- sql/1_tables/lanes.sql
-- A lane is a queue and a priority. In its order of tickets stand three bounds:
--
--     gone    | running and gone | claimable, running and gone | claimable
--        live_floor            floor                        ceiling
--
-- No claimable ticket lies below the floor, so every claim begins there and never walks over the entries of jobs that are gone.
-- That matters while a snapshot is held open somewhere, for then nothing can remove those entries. No job at all lies below
-- live_floor, and none runs from the ceiling on: between those two the reaper finds all that runs.
--
-- Both tables are only inserted into and deleted from, and the largest bound counts: a reader takes the first entry of the index
-- and stops, so that the dead rows of earlier ones are never walked either. They have no unique constraint: transactions that
-- enqueue the first jobs of a lane each make it, without waiting for each other. A second row with floor 0 does no harm.
create table if not exists rowqueue.lanes (
    floor bigint not null default 0,
    priority int not null,
    queue text not null,
    live_floor bigint not null default 0
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

create index if not exists lanes_bounds_idx on rowqueue.lanes (queue, priority desc, floor desc, live_floor desc);

-- The floors are raised by the maintenance, the ceiling by the claims: a claim that reaches beyond it raises it in the same
-- transaction. Who sees the job run sees the ceiling, therefore. Two tables, so that neither writer covers what the other wrote.
create table if not exists rowqueue.ceilings (
    ceiling bigint not null,
    priority int not null,
    queue text not null
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

create index if not exists ceilings_ceiling_idx on rowqueue.ceilings (queue, priority, ceiling desc);

revoke all on table rowqueue.lanes, rowqueue.ceilings from public;
call rowqueue._grant('select on table rowqueue.lanes', 'admin');
call rowqueue._grant('select on table rowqueue.ceilings', 'admin');

comment on table rowqueue.lanes is 'The lanes (queue, priority) that have been used, with their floors. The largest floor of a lane counts.';
comment on column rowqueue.lanes.queue is 'The queue.';
comment on column rowqueue.lanes.priority is 'The priority.';
comment on column rowqueue.lanes.floor is 'No claimable ticket of the lane lies below it. Only for speed: a low floor is always right.';
comment on column rowqueue.lanes.live_floor is 'No job of the lane has a ticket below it. Only for speed, as well.';

comment on table rowqueue.ceilings is 'How far the claims have come in each lane. The largest ceiling of a lane counts.';
comment on column rowqueue.ceilings.queue is 'The queue.';
comment on column rowqueue.ceilings.priority is 'The priority.';
comment on column rowqueue.ceilings.ceiling is 'No job of the lane with this ticket or a larger one is running.';

-- The lanes of some queues, one row each with its bounds, read by seeking from head to head.
-- No SET clause, so that the planner inlines it.
create or replace function rowqueue._lanes_of(queues text[])
returns table (queue text, priority int, floor bigint, live_floor bigint, ceiling bigint)
language sql
stable
security invoker
as $$
    with recursive lane as (
        select q.queue, head.priority, head.floor, head.live_floor
        from (select distinct u.queue from pg_catalog.unnest($1) as u(queue)) as q
        cross join lateral (
            select l.priority, l.floor, l.live_floor
            from rowqueue.lanes as l
            where l.queue = q.queue
            order by l.priority desc, l.floor desc, l.live_floor desc
            limit 1
        ) as head
        union all
        select lane.queue, head.priority, head.floor, head.live_floor
        from lane
        cross join lateral (
            select l.priority, l.floor, l.live_floor
            from rowqueue.lanes as l
            where l.queue = lane.queue and l.priority < lane.priority
            order by l.priority desc, l.floor desc, l.live_floor desc
            limit 1
        ) as head
    )
    select
        lane.queue,
        lane.priority,
        lane.floor,
        lane.live_floor,
        coalesce(
            (
                select c.ceiling
                from rowqueue.ceilings as c
                where c.queue = lane.queue and c.priority = lane.priority
                order by c.ceiling desc
                limit 1
            ),
            0)
    from lane
$$;

revoke all on function rowqueue._lanes_of from public;

-- Every queue that has a lane.
create or replace function rowqueue._queues()
returns text[]
language sql
stable
security invoker
as $$
    with recursive q as (
        (select l.queue from rowqueue.lanes as l order by l.queue limit 1)
        union all
        select (select l.queue from rowqueue.lanes as l where l.queue > q.queue order by l.queue limit 1)
        from q
        where q.queue is not null
    )
    select pg_catalog.array_agg(q.queue) from q where q.queue is not null
$$;

revoke all on function rowqueue._queues from public;

-- Draws a ticket. The transaction id comes before nextval: this is the first rule of the floor (6_maintain/_raise_floors.sql).
create or replace function rowqueue._draw_ticket()
returns bigint
language sql
volatile
security invoker
as $$
    select case
        when pg_catalog.pg_current_xact_id() is not null then pg_catalog.nextval('rowqueue.tickets'::pg_catalog.regclass)
    end
$$;

revoke all on function rowqueue._draw_ticket from public;

-- sql/1_tables/watermarks.sql
-- What the maintenance knows to be over. One row at a time, inserted anew and the old one deleted, newest id first, so that a
-- reader never walks over dead rows (see lanes.sql). How it is used stands in 6_maintain/_raise_floors.sql.
create table if not exists rowqueue.watermarks (
    id bigint generated always as identity,
    xid xid8 not null,
    ticket bigint not null,
    token bigint not null,
    seen_at timestamptz not null,
    due_floor timestamptz not null,
    applied boolean not null,
    constraint watermarks_pkey primary key (id)
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
select pg_catalog.pg_current_xact_id(), 0, 0, rowqueue._now(), '-infinity', true
where not exists (select from rowqueue.watermarks);

revoke all on table rowqueue.watermarks from public;
call rowqueue._grant('select on table rowqueue.watermarks', 'admin');

comment on table rowqueue.watermarks is 'How far the maintenance has come: what lies below is known to be over. The newest row counts.';
comment on column rowqueue.watermarks.id is 'The newest row is the largest.';
comment on column rowqueue.watermarks.xid is 'The transaction that noted ticket, token and seen_at. Once all up to it have ended, the note can be used.';
comment on column rowqueue.watermarks.ticket is 'The last ticket drawn before xid was assigned.';
comment on column rowqueue.watermarks.token is 'The last token drawn before xid was assigned: when it has moved, jobs were claimed.';
comment on column rowqueue.watermarks.seen_at is 'The clock before xid was assigned.';
comment on column rowqueue.watermarks.due_floor is 'No job without a ticket has a run_after before this instant.';
comment on column rowqueue.watermarks.applied is 'The note has been used to raise the floors.';

-- Clocks, a mark and a counter that must be written without leaving dead rows: a sequence is overwritten in place.
-- They are hints: setval takes effect at once and is not rolled back, and nothing breaks when one is wrong.
create sequence if not exists rowqueue.swept_at minvalue 0 start 0;
create sequence if not exists rowqueue.ticked_at minvalue 0 start 0;
create sequence if not exists rowqueue.idle_mark minvalue 1 maxvalue 3;
create sequence if not exists rowqueue.below_floor minvalue 1;

comment on sequence rowqueue.swept_at is 'When tick() last looked below the floors, in milliseconds since 1970.';
comment on sequence rowqueue.ticked_at is 'When tick_every() last found something to do, in milliseconds since 1970.';
comment on sequence rowqueue.idle_mark is '1: no worker waits. 2: a worker waits for a notification. 3: notifications are switched off.';
comment on sequence rowqueue.below_floor is 'How many jobs were found below a floor (when is_called). It must stay unused: each one was a job that waited too long.';

-- sql/3_claim/_promote.sql
-- Whether some queues have anything to promote: what claim_next asks first, for most of the time they have not.
create or replace function rowqueue._any_due(queues text[])
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._now();
begin
    return exists (
            select
            from rowqueue.jobs_live as j
            where j.queue = any (_any_due.queues) and j.ticket is null
            and j.run_after >= (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1)
            and j.run_after <= v_now);
end
$$;

revoke all on function rowqueue._any_due from public;

-- Gives a ticket to jobs of some queues that have none and are due: delayed and retrying ones whose time has come. Highest priority
-- first, of the thousand that have been due longest in each queue. Returns how many.
-- State: pending -> pending | Locks: those rows, skipping locked ones | Writes: jobs_live
create or replace function rowqueue._promote(queues text[], max_jobs int)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := rowqueue._now();
    v_due_floor timestamptz := (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_seen int;
    v_count int;
    v_more int := 0;
begin
    with due as materialized (
        select head.ctid, head.priority, head.run_after
        from unnest(_promote.queues) as q(queue)
        cross join lateral (
            select j.ctid, j.priority, j.run_after
            from rowqueue.jobs_live as j
            where j.queue = q.queue and j.ticket is null
            and j.run_after >= v_due_floor and j.run_after <= v_now
            order by j.run_after
            limit 1000
        ) as head
    ), first as materialized (
        select j.ctid
        from due as d
        join rowqueue.jobs_live as j on j.ctid = d.ctid
        -- Written so that the planner cannot prove the condition of jobs_live_delayed_idx, and walk all that waits instead of
        -- asking by ctid.
        where coalesce(j.ticket, 0) = 0
        order by d.priority desc, d.run_after
        limit _promote.max_jobs
        for update of j skip locked
    ), promoted as (
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from first as f
        where j.ctid = f.ctid
        returning j.id
    )
    select count(*), (select count(*) from due)
    into v_count, v_seen
    from promoted;

    -- Others hold some of the thousand: take what lies behind them.
    if v_count < _promote.max_jobs and v_seen >= 1000 then
        with free as materialized (
            select head.ctid
            from unnest(_promote.queues) as q(queue)
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null
                and j.run_after >= v_due_floor and j.run_after <= v_now
                order by j.run_after
                limit _promote.max_jobs - v_count
                for update skip locked
            ) as head
            limit _promote.max_jobs - v_count
        )
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from free as f
        where j.ctid = f.ctid;
        get diagnostics v_more = row_count;
    end if;
    return v_count + v_more;
end
$$;

revoke all on function rowqueue._promote from public;

-- sql/3_claim/claim_next.sql
-- Hands out the next due jobs.
-- State: pending -> running | Locks: the claimed rows of jobs_live, skipping locked ones | Writes: jobs_live (HOT updates), ceilings
create or replace function rowqueue.claim_next(
    worker text,
    queues text[] default '{default}',
    max_jobs int default 1,
    lease interval default '1 minute'
)
returns setof rowqueue.claimed_job
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
rows 100
as $$
declare
    c_any constant bigint := 9223372036854775807;
    v_now timestamptz;
    v_left int := claim_next.max_jobs;
    v_level record;
    v_cutoff bigint;
    v_jobs tid[];
    v_crashed boolean[];
    v_last bigint;
    v_suspect int;
begin
    perform rowqueue._check_claim(claim_next.worker, claim_next.queues, claim_next.max_jobs, claim_next.lease);

    -- What has become due meanwhile joins the lanes, but no more than this call may take: in a long transaction, the rest must
    -- not be kept from other workers.
    if rowqueue._any_due(claim_next.queues) then
        perform rowqueue._promote(claim_next.queues, claim_next.max_jobs);
    end if;

    for v_level in
        select l.priority, array_agg(l.queue) as queues, array_agg(l.floor) as floors, array_agg(l.ceiling) as ceilings
        from rowqueue._lanes_of(claim_next.queues) as l
        group by l.priority
        order by l.priority desc
    loop
        v_cutoff := c_any;
        if cardinality(v_level.queues) > 1 then
            -- First come, first served across the queues: nothing beyond the ticket that would be the last of this claim.
            select max(first.ticket)
            into v_cutoff
            from (
                select head.ticket
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ticket
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority and j.ticket >= lane.floor
                    and j.status = 'pending'
                    order by j.ticket
                    limit v_left
                ) as head
                order by head.ticket
                limit v_left
            ) as first;
        end if;

        while v_left > 0 and v_cutoff is not null loop
            -- The first free jobs of these lanes in ticket order, locked: one index scan a lane that begins at the floor
            -- and stops at the limit.
            select array_agg(h.ctid), array_agg(h.crashes > 0), max(h.ticket)
            into v_jobs, v_crashed, v_last
            from (
                select head.ctid, head.crashes, head.ticket
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ctid, j.crashes, j.ticket
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority
                    and j.ticket >= lane.floor and j.ticket <= v_cutoff and j.status = 'pending'
                    order by j.ticket
                    limit v_left
                    for update skip locked
                ) as head
                order by head.ticket
                limit v_left
            ) as h;

            -- One that may have killed its worker is handed out alone: it is the whole claim, or the claim ends before it. Either
            -- way nothing of a lower priority overtakes it.
            v_suspect := array_position(v_crashed, true);
            if v_suspect = 1 and v_left = claim_next.max_jobs then
                v_jobs := v_jobs[:1];
            elsif v_suspect is not null then
                v_jobs := v_jobs[:v_suspect - 1];
            end if;

            -- Read after the jobs were seen: none started before it was made.
            v_now := rowqueue._now();
            -- The claim. It takes just those rows, by ctid, in this order: tokens rise with tickets, and the rows come out in
            -- the order of the claim.
            return query
            update rowqueue.jobs_live as j
            set status = 'running',
                token = nextval('rowqueue.tokens'::regclass),
                -- Who resets the last attempt by hand wants it to run once more.
                attempts = least(j.attempts + 1, j.max_attempts),
                claimed_alone = (claim_next.max_jobs = 1 or j.crashes > 0),
                worker = claim_next.worker,
                started_at = v_now,
                lease_until = v_now + claim_next.lease,
                progress = null
            from unnest(v_jobs) as h(ctid)
            where j.ctid = h.ctid
            returning
                j.id, j.token, j.queue, j.job_type, j.workspace_id, j.payload, j.priority, j.attempts, j.max_attempts,
                j.timeout_ms, j.created_at, j.lease_until, j.crashes > 0;

            -- Some way beyond what was claimed, so that not every claim has to raise it.
            if v_last >= any (v_level.ceilings) then
                insert into rowqueue.ceilings (queue, priority, ceiling)
                select lane.queue, v_level.priority, v_last + least(16 * claim_next.max_jobs, 1000)
                from unnest(v_level.queues, v_level.ceilings) as lane(queue, ceiling)
                where lane.ceiling <= v_last;
            end if;

            v_left := case when v_suspect is null then v_left - coalesce(cardinality(v_jobs), 0) else 0 end;
            -- Others hold some of the jobs up to the cutoff: once more, without it.
            exit when v_cutoff = c_any;
            v_cutoff := c_any;
        end loop;
        exit when v_left = 0;
    end loop;
end
$$;

revoke all on function rowqueue.claim_next from public;
call rowqueue._grant('execute on function rowqueue.claim_next', 'worker', 'admin');

comment on function rowqueue.claim_next is
'Hands out up to max_jobs (1 to 1000) due jobs of some queues, highest priority first, then first come first served. Never waits for another worker. Each claim raises attempts, sets started_at, worker and lease_until (now + lease, up to a day) and draws a fresh token, which every report on the job must name. Extend the lease before it runs out.
Returns: the jobs, in that order; none when nothing is due, and then nothing is written. A job whose earlier lease ran out comes alone.
Raises: 22023 for an argument out of range; 40001 under REPEATABLE READ and SERIALIZABLE when another claim was quicker: use READ COMMITTED.
State: pending -> running.
Role: worker, admin.
Repeat: claims other jobs. Jobs of a call that was rolled back are free again.';

-- sql/4_run/extend_leases.sql
-- The heartbeat of a worker: one statement for all that it holds.
-- State: running -> running | Locks: those rows of jobs_live, in id order | Writes: jobs_live (HOT updates)
create or replace function rowqueue.extend_leases(job_ids uuid[], tokens bigint[], lease interval default '1 minute')
returns table (id uuid, outcome text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
rows 100
as $$
#variable_conflict use_column
declare
    v_until timestamptz;
    v_ids uuid[];
    v_stopping boolean[];
begin
    perform rowqueue._check_tokens(extend_leases.job_ids, extend_leases.tokens);
    perform rowqueue._check_lease(extend_leases.lease);
    v_until := rowqueue._now() + extend_leases.lease;

    -- By id and in id order, whatever the planner knew: see 5_finish/_finish.sql.
    with asked as materialized (
        select a.id, a.token
        from unnest(extend_leases.job_ids, extend_leases.tokens) as a(id, token)
        order by a.id
    ), extended as (
        update rowqueue.jobs_live as j
        set lease_until = v_until
        from asked as a
        where j.id = any(array[a.id]) and j.token = a.token and j.status = 'running'
        returning j.id, j.cancel_requested_at is not null as stopping
    )
    select array_agg(e.id), array_agg(e.stopping) into v_ids, v_stopping from extended as e;

    return query
    select e.id, case when e.stopping then 'cancel' else 'extended' end
    from unnest(v_ids, v_stopping) as e(id, stopping);
    if cardinality(v_ids) is distinct from cardinality(extend_leases.job_ids) then
        return query
        select distinct a.id, 'lost'
        from unnest(extend_leases.job_ids) as a(id)
        where a.id <> all(coalesce(v_ids, '{}'));
    end if;
end
$$;

revoke all on function rowqueue.extend_leases from public;
call rowqueue._grant('execute on function rowqueue.extend_leases', 'worker', 'admin');

comment on function rowqueue.extend_leases is
'The heartbeat of a worker: extends the leases of up to 10000 jobs that it holds to now + lease (up to a day).
Returns: a row for each job. extended; cancel: extended, but a cancellation was requested, stop soon; lost: the token no longer holds the job, stop now.
Raises: 22023 for arrays that do not match or a lease out of range. Never an error for one bad row.
State: running -> running.
Role: worker, admin.
Repeat: extends again.';

-- sql/5_finish/_finish.sql
-- The one way from the live room to the finished one: complete, fail, cancel and the reaper share it. Moves the jobs that are in
-- from_status under the given token, in one statement and in id order, and returns the ids of those it moved.
-- State: from_status -> to_status | Locks: those rows of jobs_live, in id order | Writes: jobs_live, jobs_finished
create or replace function rowqueue._finish(
    job_ids uuid[],
    tokens bigint[],
    from_status text,
    to_status text,
    results jsonb[] default null,
    errors text[] default null
)
returns uuid[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_now timestamptz := rowqueue._now();
    v_moved uuid[];
begin
    -- Whatever the planner knew of the table when it made this plan, it must ask by id: `= any(array[…])` leaves it no ordered
    -- walk over jobs_live_pkey.
    with asked as materialized (
        select a.id, a.token, a.result, a.error
        from unnest(_finish.job_ids, _finish.tokens, _finish.results, _finish.errors) as a(id, token, result, error)
        order by a.id
    ), gone as (
        delete from rowqueue.jobs_live as j
        using asked as a
        where j.id = any(array[a.id]) and j.token is not distinct from a.token and j.status = _finish.from_status
        returning j.*, a.result as new_result, a.error as new_error
    ), kept as (
        insert into rowqueue.jobs_finished (
            id, workspace_id, token, created_at, run_after, started_at, completed_at, lease_until, cancel_requested_at,
            priority, attempts, max_attempts, timeout_ms, crashes, uncharged_crashes, claimed_alone,
            status, queue, job_type, unique_key, worker, cancel_reason, error, last_error, payload, progress, result)
        select
            g.id, g.workspace_id, g.token, g.created_at, g.run_after, g.started_at, v_now, g.lease_until, g.cancel_requested_at,
            g.priority, g.attempts, g.max_attempts, g.timeout_ms, g.crashes, g.uncharged_crashes, g.claimed_alone,
            _finish.to_status, g.queue, g.job_type, g.unique_key, g.worker, g.cancel_reason, g.new_error,
            case when _finish.to_status = 'failed' then g.new_error else g.last_error end,
            g.payload, g.progress, g.new_result
        from gone as g
        returning id
    )
    select array_agg(k.id) into v_moved from kept as k;
    return coalesce(v_moved, '{}');
end
$$;

revoke all on function rowqueue._finish from public;

-- Whether one of these tokens completed the job.
create or replace function rowqueue._is_completed(job_id uuid, tokens bigint[])
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select
        from rowqueue.jobs_finished as f
        where f.id = _is_completed.job_id and f.completed_at >= rowqueue._id_time(_is_completed.job_id)
        and f.token = any (_is_completed.tokens) and f.status = 'completed');
end
$$;

revoke all on function rowqueue._is_completed from public;

-- sql/6_maintain/_end_crash.sql
-- When an attempt claimed at `started_at` times out. Stable, like the operator in it: it would not be inlined otherwise.
create or replace function rowqueue._times_out(started_at timestamptz, timeout_ms int)
returns timestamptz
language sql
stable
security invoker
as $$ select $1 + $2 * interval '1 millisecond' $$;

revoke all on function rowqueue._times_out from public;

-- Ends an attempt whose worker was lost, and settles whose fault it was. Returns the new status.
-- State: running -> pending | failed | cancelled | Locks: none beyond the caller's | Writes: jobs_live, jobs_finished
--
-- A job that kills its worker must end as failed after max_attempts runs, and the jobs that were claimed with it must lose nothing.
-- The first time nobody knows which of them it was: the attempt is given back, and a crash noted. From then on claim_next hands
-- out each of them alone. One that crashes alone is the killer: it is charged for this crash, and for the one given back.
create or replace function rowqueue._end_crash(job rowqueue.jobs_live)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error text := format('worker lost: the lease of %s ran out', job.worker);
begin
    job.crashes := job.crashes + 1;
    if job.claimed_alone then
        job.attempts := least(job.attempts + job.uncharged_crashes, job.max_attempts);
        job.uncharged_crashes := 0;
    else
        job.attempts := greatest(job.attempts - 1, 0);
        job.uncharged_crashes := job.uncharged_crashes + 1;
    end if;

    update rowqueue.jobs_live as j
    set attempts = job.attempts,
        crashes = job.crashes,
        uncharged_crashes = job.uncharged_crashes
    where j.id = job.id;
    return rowqueue._end_attempt(job, v_error, retry_after => case when not job.claimed_alone then interval '0' end);
end
$$;

revoke all on function rowqueue._end_crash from public;

-- sql/6_maintain/reap_stuck.sql
-- Takes back the jobs whose worker is gone: lease or timeout ran out.
-- State: running -> pending | failed | cancelled | Locks: those rows of jobs_live, skipping locked ones | Writes: jobs_live, jobs_finished
create or replace function rowqueue.reap_stuck(max_jobs int default 1000)
returns table (id uuid, outcome text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._now();
    v_job rowqueue.jobs_live;
    v_times_out timestamptz;
begin
    if reap_stuck.max_jobs is null or reap_stuck.max_jobs not between 1 and 100000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 100000');
    end if;

    for v_job in
        with stuck as materialized (
            select running.ctid, running.token
            from rowqueue._lanes_of(rowqueue._queues()) as l
            cross join lateral (
                select j.ctid, j.token
                from rowqueue.jobs_live as j
                where j.queue = l.queue and j.priority = l.priority
                and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
                and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
                order by j.ticket
            ) as running
        )
        select j.*
        from stuck as s
        join rowqueue.jobs_live as j on j.ctid = s.ctid
        where j.status = 'running'
        and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
        order by s.token
        limit reap_stuck.max_jobs
        for update of j skip locked
    loop
        id := v_job.id;
        v_times_out := rowqueue._times_out(v_job.started_at, v_job.timeout_ms);
        if v_times_out <= v_now and v_times_out < v_job.lease_until then
            outcome := rowqueue._end_attempt(v_job, format('timeout: ran longer than %s ms', v_job.timeout_ms));
        else
            outcome := rowqueue._end_crash(v_job);
        end if;
        return next;
    end loop;
end
$$;

revoke all on function rowqueue.reap_stuck from public;
call rowqueue._grant('execute on function rowqueue.reap_stuck', 'worker', 'admin');

comment on function rowqueue.reap_stuck is
'Takes back up to max_jobs (1 to 100000) running jobs whose lease or timeout ran out, oldest claim first. With attempts left they are pending with backoff, without they are failed; those that somebody cancelled are cancelled. last_error says which it was, with the figure. When a lease on several jobs of one claim ran out, any of them may have killed the worker: they get the attempt back, are due at once and are handed out one at a time, each alone; one that crashes then is charged for both.
Returns: a row for each job: its id and its new status.
Raises: 22023 for max_jobs out of range.
State: running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: finds the next ones. Safe from any number of callers at once: none waits for another.';

-- sql/6_maintain/_raise_floors.sql
-- Raises the floors below which nothing is left to find: of tickets (lanes.floor and live_floor) and of due times (watermarks).
-- Returns how many lanes were raised. Only for speed: with every floor at its lowest, the queue does the same, more slowly.
-- State: - | Locks: the newest row of watermarks, skipping it when locked | Writes: lanes, ceilings, watermarks
--
-- Why this never passes a job by. A ticket becomes visible when its transaction commits, which may be long after it was drawn, and
-- after larger ones. So a floor must not rise past a ticket that somebody holds and has not committed. Three rules:
--
-- 1. Who draws a ticket has a transaction id first (_draw_ticket; for due times _write_clock).
-- 2. Raising takes two transactions. The first reads the sequence's last value S *before it has an id of its own*, then notes S with
--    its id X. Ids are given out in order, so everyone who drew a ticket up to S has an id below X. A later transaction whose snapshot
--    has xmin > X knows that all of those have ended: what they committed it sees, what they rolled back never was. The floor
--    may then be S + 1, or the smallest ticket that is still there.
--    (xmax of a snapshot will not do for X: it is one past the last *completed* id, and ids in progress lie above it.)
-- 3. A floor is only speed: _sweep looks below it, now and then. What it finds is counted, and the count must stay 0.
--
-- The same note serves due times: there the clock is S. Tokens are noted to see whether anything was claimed.
create or replace function rowqueue._raise_floors()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    -- These three are read before this transaction has an id: the order is the second rule.
    v_ticket bigint := coalesce(pg_sequence_last_value('rowqueue.tickets'::regclass), 0);
    v_token bigint := coalesce(pg_sequence_last_value('rowqueue.tokens'::regclass), 0);
    v_clock timestamptz := rowqueue._now();
    v_note rowqueue.watermarks;
    v_snapshot pg_snapshot;
    v_moved boolean;
    v_void boolean;
    v_raised int := 0;
    v_due_floor timestamptz;
begin
    if pg_current_xact_id_if_assigned() is not null then
        return 0;
    end if;

    select w.* into v_note from rowqueue.watermarks as w order by w.id desc limit 1;
    v_snapshot := pg_current_snapshot();
    v_moved := v_ticket > v_note.ticket or v_token > v_note.token;
    -- The note tells nothing here if its id was not given out yet, for then it comes from the server that a dump was taken on; nor if
    -- the clock went back since, for then jobs become due before what was over. Ticks at once differ by less than a second.
    v_void := v_note.xid >= pg_snapshot_xmax(v_snapshot)
        or v_clock < greatest(v_note.due_floor, v_note.seen_at) - interval '1 second';
    if not v_void and (pg_snapshot_xmin(v_snapshot) <= v_note.xid or (v_note.applied and not v_moved)) then
        return 0;
    end if;

    perform from rowqueue.watermarks as w where w.id = v_note.id for update skip locked;
    if not found then
        return 0;
    end if;

    v_due_floor := v_note.due_floor;
    if not v_void and not v_note.applied then
        v_raised := rowqueue._raise_lanes(v_note.ticket);

        select least(v_note.seen_at, min(first.run_after))
        into v_due_floor
        from (
            select head.run_after
            from unnest(rowqueue._queues()) as q(queue)
            cross join lateral (
                select j.run_after
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null and j.run_after >= v_note.due_floor
                order by j.run_after
                limit 1
            ) as head
        ) as first;
    end if;

    insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
    values (
        pg_current_xact_id(), v_ticket, v_token, v_clock,
        case when v_void then '-infinity' else greatest(v_due_floor, v_note.due_floor) end, not v_moved and not v_void);
    delete from rowqueue.watermarks as w where w.id = v_note.id;
    return v_raised;
end
$$;

revoke all on function rowqueue._raise_floors from public;

-- Raises the floors of lanes, given that every ticket up to `ticket` is settled: 200 lanes a call, the lowest first.
create or replace function rowqueue._raise_lanes(ticket bigint)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    v_lane record;
    v_raised int := 0;
begin
    for v_lane in
        select
            l.queue, l.priority, l.floor, l.live_floor, l.ceiling,
            least(_raise_lanes.ticket + 1, claimable.ticket) as new_floor,
            least(_raise_lanes.ticket + 1, live.ticket) as new_live_floor
        from rowqueue._lanes_of(rowqueue._queues()) as l
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.floor and j.status = 'pending'
            order by j.ticket
            limit 1
        ) as claimable on true
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.live_floor
            order by j.ticket
            limit 1
        ) as live on true
        where l.live_floor <= _raise_lanes.ticket
        order by l.live_floor
        limit 200
    loop
        if v_lane.new_floor > v_lane.floor or v_lane.new_live_floor > v_lane.live_floor then
            insert into rowqueue.lanes (queue, priority, floor, live_floor)
            values (v_lane.queue, v_lane.priority, v_lane.new_floor, v_lane.new_live_floor);
            delete from rowqueue.lanes as l
            where l.queue = v_lane.queue and l.priority = v_lane.priority
            and (l.floor = 0 or (l.floor = v_lane.floor and l.live_floor = v_lane.live_floor));
            delete from rowqueue.ceilings as c
            where c.queue = v_lane.queue and c.priority = v_lane.priority and c.ceiling < v_lane.ceiling;
            v_raised := v_raised + 1;
        end if;
    end loop;
    return v_raised;
end
$$;

revoke all on function rowqueue._raise_lanes from public;

-- sql/6_maintain/_stray_lanes.sql
-- Lanes that have jobs and do not exist: at most one between each two that do, in claim order and in due order. Only gaps are
-- read, from both ends by the index, so that it costs a few probes a lane, whatever the lanes hold.
create or replace function rowqueue._stray_lanes(queues text[])
returns table (queue text, priority int)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    v_lane record;
    v_queue text := '';
    v_priority int := 0;
begin
    for v_lane in
        select l.queue, l.priority from rowqueue._lanes_of(_stray_lanes.queues) as l order by l.queue, l.priority
    loop
        return query
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null
            and (j.queue, j.priority) > (v_queue, v_priority) and (j.queue, j.priority) < (v_lane.queue, v_lane.priority)
            order by j.queue, j.priority
            limit 1
        )
        union
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is null and j.queue > v_queue and j.queue < v_lane.queue
            order by j.queue
            limit 1
        );
        v_queue := v_lane.queue;
        v_priority := v_lane.priority;
    end loop;

    -- Beyond the last one there is no upper end.
    return query
    (
        select j.queue, j.priority
        from rowqueue.jobs_live as j
        where j.ticket is not null and (j.queue, j.priority) > (v_queue, v_priority)
        order by j.queue, j.priority
        limit 1
    )
    union
    (
        select j.queue, j.priority
        from rowqueue.jobs_live as j
        where j.ticket is null and j.queue > v_queue
        order by j.queue
        limit 1
    );
end
$$;

revoke all on function rowqueue._stray_lanes from public;

-- sql/6_maintain/_sweep.sql
-- Looks where nothing should be: below the floors, and in lanes that do not exist. Makes what it finds claimable, counts it in
-- the sequence rowqueue.below_floor, and returns how many. A DBA's UPDATE of queue, priority or ticket can put a waiting job
-- there; the functions cannot.
-- State: pending -> pending | Locks: those rows of jobs_live, skipping locked ones | Writes: jobs_live, lanes, ceilings
--
-- The entries of jobs that are gone may lie below a floor by the million while a snapshot is held, so it looks in windows that
-- widen downwards from the floor, and stops after the window in which its time is up: 20 ms. Otherwise it reaches the bottom
-- each time; what lies deeper than that waits until the snapshot is gone.
create or replace function rowqueue._sweep()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_ten_years constant bigint := 10 * 366 * 86400000::bigint;
    v_ends timestamptz := clock_timestamp() + interval '20 milliseconds';
    v_queues text[] := rowqueue._queues();
    v_note rowqueue.watermarks;
    v_near bigint := 0;
    v_far bigint := 10000;
    v_count int;
    v_found int := 0;
begin
    select w.* into v_note from rowqueue.watermarks as w order by w.id desc limit 1;

    insert into rowqueue.lanes (queue, priority)
    select s.queue, s.priority from rowqueue._stray_lanes(v_queues) as s;
    get diagnostics v_found = row_count;

    loop
        with lost as materialized (
            select low.ctid
            from rowqueue._lanes_of(v_queues) as l
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = l.queue and j.priority = l.priority
                and j.ticket >= l.floor - v_far and j.ticket < l.floor - v_near
                and (j.status = 'pending' or j.ticket < l.live_floor)
                order by j.ticket
                limit 100
                for update skip locked
            ) as low
        ), found as (
            update rowqueue.jobs_live as j
            set ticket = rowqueue._draw_ticket()
            from lost as l
            where j.ctid = l.ctid
            returning j.queue, j.priority, j.ticket, j.status
        ), raised as (
            insert into rowqueue.ceilings (queue, priority, ceiling)
            select f.queue, f.priority, f.ticket + 1 from found as f where f.status = 'running'
        )
        select count(*) into v_count from found;
        v_found := v_found + v_count;

        with lost as materialized (
            select low.ctid
            from unnest(v_queues) as q(queue)
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null
                and j.run_after >= v_note.due_floor - v_far * interval '1 millisecond'
                and j.run_after < v_note.due_floor - v_near * interval '1 millisecond'
                order by j.run_after
                limit 100
                for update skip locked
            ) as low
        )
        update rowqueue.jobs_live as j
        set run_after = greatest(j.run_after, rowqueue._write_clock())
        from lost as l
        where j.ctid = l.ctid;
        get diagnostics v_count = row_count;
        v_found := v_found + v_count;

        v_near := v_far;
        v_far := v_far * 2;
        exit when v_near > greatest(v_note.ticket, c_ten_years) or clock_timestamp() > v_ends;
    end loop;

    perform nextval('rowqueue.below_floor') from generate_series(1, v_found);
    return v_found;
end
$$;

revoke all on function rowqueue._sweep from public;

-- sql/6_maintain/_changed_by_hand.sql
-- Puts right what an UPDATE of rowqueue.jobs by hand leaves half done: a job that was set back to pending gets a place in its lane,
-- and a running one that was moved to another lane gets one where the reaper looks.
-- State: pending -> pending | Locks: those rows of jobs_live | Writes: jobs_live (also lanes and ceilings for running jobs)
--
-- It is a trigger of the partitioned table, for each statement: the functions name the rooms, so it costs them nothing.
create or replace function rowqueue._changed_by_hand()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
begin
    update rowqueue.jobs_live as j
    set ticket = case when j.run_after <= v_now then rowqueue._draw_ticket() end,
        token = null,
        worker = null,
        lease_until = null
    from new_rows as n
    join old_rows as o on o.id = n.id
    where j.id = n.id and n.status = 'pending' and (n.token is not null or o.status <> 'pending');
    if found then
        perform rowqueue._wake_worker();
    end if;

    with moved as (
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from new_rows as n
        join old_rows as o on o.id = n.id
        where j.id = n.id and n.status = 'running'
        and (o.status, o.queue, o.priority, o.ticket) is distinct from (n.status, n.queue, n.priority, n.ticket)
        returning j.queue, j.priority, j.ticket
    ), lane as (
        insert into rowqueue.lanes (queue, priority)
        select distinct m.queue, m.priority from moved as m
    )
    insert into rowqueue.ceilings (queue, priority, ceiling)
    select m.queue, m.priority, max(m.ticket) + 1
    from moved as m
    group by m.queue, m.priority;
    return null;
end
$$;

revoke all on function rowqueue._changed_by_hand from public;

create or replace trigger changed_by_hand
after update on rowqueue.jobs
referencing old table as old_rows new table as new_rows
for each statement
execute function rowqueue._changed_by_hand();

comment on trigger changed_by_hand on rowqueue.jobs is
'Jobs that somebody changes by hand keep a place where claims and the reaper find them. The functions do not pass here.';

-- sql/6_maintain/tick_every.sql
-- One tick a period, however many ask.
-- State: as tick | Locks: as tick | Writes: as tick
create or replace function rowqueue.tick_every(period interval)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now_ms bigint := rowqueue._epoch_ms(rowqueue._now());
    v_last_ms bigint := coalesce(pg_sequence_last_value('rowqueue.ticked_at'::regclass), 0);
    v_done jsonb;
begin
    if tick_every.period is null or tick_every.period not between interval '0' and interval '1 day' then
        perform rowqueue._reject('period', 'must be between 0 and 1 day');
    end if;
    if v_now_ms >= v_last_ms and v_now_ms < v_last_ms + 1000 * extract(epoch from tick_every.period) then
        return null;
    end if;

    v_done := rowqueue.tick();
    -- Only when something was written anyway: an idle tick leaves no trace.
    if pg_current_xact_id_if_assigned() is not null then
        perform setval('rowqueue.ticked_at', v_now_ms);
    end if;
    return v_done;
end
$$;

revoke all on function rowqueue.tick_every from public;
call rowqueue._grant('execute on function rowqueue.tick_every', 'worker', 'admin');

comment on function rowqueue.tick_every is
'Calls tick(), unless another call of tick_every() found something to do less than `period` ago (up to a day). So any number of workers that each call it often cost what one would.
Returns: what tick() returns; null when it was not called.
Raises: 22023 for a period out of range; otherwise as tick().
State: pending -> pending; running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: null within the period, if there was something to do.';

-- sql/7_observe/version.sql
-- The version of the schema: the number of its newest migration.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.version()
returns text
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return '0004';
end
$$;

revoke all on function rowqueue.version from public;
call rowqueue._grant('execute on function rowqueue.version', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.version is
'The version of the schema: the number of its newest migration.
Returns: four digits.
Raises: nothing.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';
