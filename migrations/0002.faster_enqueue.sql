-- depends: 0001.initial
--
-- By hand, below: what turns the tables as they were into those of sql/. It must
-- survive being run again, and must not hold a long lock on a big table.
set local lock_timeout = '5s';
alter table rowqueue.jobs_live set (fillfactor = 50);
drop function if exists rowqueue._new_id(bigint);

-- Copies of sql/ as it stood, written by `make freeze`.

-- sql/0_base/ids.sql
-- Job ids are UUIDv7 (RFC 9562, section 5.7): time first, so that new entries land side by side in the id index, newest is
-- largest, and an id tells which finished partitions cannot hold it. PostgreSQL 18 has uuidv7(); below, the same is built here:
-- 48 bits of milliseconds, 12 bits of the fraction of one, 62 random bits. `at_us` is in microseconds since 1970; a batch counts
-- it up, so that its ids rise in its order, and draws `random` once, as the RFC has it (section 6.2): drawing it costs
-- more than the rest. No SET clause, so that the planner inlines it.
do $do$
begin
    if current_setting('server_version_num')::int >= 180000 then
        create or replace function rowqueue._uuid7(at_us bigint, random uuid)
        returns uuid
        language sql
        volatile
        security invoker
        as $$ select pg_catalog.uuidv7() $$;
    else
        create or replace function rowqueue._uuid7(at_us bigint, random uuid)
        returns uuid
        language sql
        volatile
        security invoker
        as $$
            select pg_catalog.encode(
                pg_catalog.substring(pg_catalog.int8send($1 / 1000), 3)
                || pg_catalog.int2send((28672 + ($1 % 1000) * 4096 / 1000)::pg_catalog.int2)
                || pg_catalog.substring(pg_catalog.uuid_send($2), 9),
                'hex')::pg_catalog.uuid
        $$;
    end if;
end
$do$;

revoke all on function rowqueue._uuid7 from public;

-- The instant in a UUIDv7, less a day for clocks that were set back; '-infinity' for any other uuid.
create or replace function rowqueue._id_time(id uuid)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hex text := replace(_id_time.id::text, '-', '');
begin
    if substring(v_hex from 13 for 1) <> '7' then
        return '-infinity';
    end if;
    return to_timestamp(('x' || lpad(left(v_hex, 12), 16, '0'))::bit(64)::bigint / 1000.0) - interval '1 day';
end
$$;

revoke all on function rowqueue._id_time from public;

-- sql/0_base/json.sql
-- Why a document cannot be stored and read back by every client, or null when it can. What accepts it must be able to
-- hand it out again: a job that a worker cannot decode would be a job that nobody can run.
-- The checks go from cheap to dear, and most documents pass at the first: 64 levels take 512 bytes, and a number beyond a double
-- takes more than 300 characters. A larger document is not written out as text before its numbers have been looked at:
-- 1e131071 takes 30 bytes in jsonb and 131,000 as text. No SET clause, so that the planner inlines it.
create or replace function rowqueue._json_problem(doc jsonb)
returns text
language sql
stable
security invoker
as $$
    select case
        -- In an array of its own, for a value read from a table may be compressed, and count as small.
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) < 512
            and pg_catalog.octet_length($1::pg_catalog.text) < 300 then null
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) > 1048576 then 'is larger than 1 MiB'
        when $1 operator(pg_catalog.@?) 'strict $.**{64}' then 'is nested deeper than 63 levels'
        when $1 operator(pg_catalog.@?) '$.** ? (@.type() == "number"
            && (@ > 1e308 || @ < -1e308 || (@ != 0 && @ < 1e-307 && @ > -1e-307)))'
            then 'has a number beyond the range of a double (1e-307 to 1e308)'
        -- A zero may carry 16,383 decimals in 12 bytes: below 768 bytes even those stay within 1 MiB.
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) >= 768
            and pg_catalog.octet_length($1::pg_catalog.text) > 1048576 then 'is larger than 1 MiB as text'
    end
$$;

revoke all on function rowqueue._json_problem from public;

-- The first `bytes` bytes of a text, cut between characters: left() counts characters, and an é takes two bytes.
create or replace function rowqueue._clip(words text, bytes int)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_clipped text := left(_clip.words, _clip.bytes);
begin
    while octet_length(v_clipped) > _clip.bytes loop
        v_clipped := left(v_clipped, least(length(v_clipped) - 1, length(v_clipped) * _clip.bytes / octet_length(v_clipped)));
    end loop;
    return v_clipped;
end
$$;

revoke all on function rowqueue._clip from public;

-- sql/1_tables/jobs.sql
-- One table, two rooms. jobs_live holds pending and running jobs and stays as small as the work in hand; jobs_finished holds
-- the others, by month of completed_at, written once and dropped a month at a time. People query rowqueue.jobs; the
-- functions name the rooms. A job moves from one room to the other in the one statement that finishes it.
--
-- Columns stand in the order of their alignment: wide fixed ones first, texts last, so that no byte is lost to padding.
-- The view rowqueue.job shows them in a reader's order.
create sequence if not exists rowqueue.tickets as bigint cache 1;
comment on sequence rowqueue.tickets is
'The order of claiming: a job that may run now holds a ticket. CACHE 1, for the floors rely on its last value.';

create sequence if not exists rowqueue.tokens as bigint cache 1;
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
    constraint jobs_ticket_only_when_pending check (ticket is null or status = 'pending'),
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
    -- Room on each page for a second version of each of its rows: a claim then stays on the page, which saves a fifth of its
    -- WAL and a second lock record; heartbeats and progress reports are HOT updates besides.
    fillfactor = 50
);

create table if not exists rowqueue.jobs_finished
partition of rowqueue.jobs
for values in ('completed', 'failed', 'cancelled')
partition by range (completed_at);

-- The safety net: what finishes in a month that has no partition yet. tick() makes the months ahead of time.
create table if not exists rowqueue.jobs_finished_default
partition of rowqueue.jobs_finished (constraint jobs_finished_default_pkey primary key (id)) default;

-- The claim order, and nothing else: a claim reads the head of a lane and stops.
create index if not exists jobs_live_claim_idx on rowqueue.jobs_live (queue, priority, ticket)
where ticket is not null;

-- What waits for its time.
create index if not exists jobs_live_due_idx on rowqueue.jobs_live (queue, run_after)
where ticket is null and status = 'pending';

-- What runs, for the reaper. Heartbeats and progress stay HOT: no index mentions lease_until or progress.
create index if not exists jobs_live_running_idx on rowqueue.jobs_live (token)
where status = 'running';

-- What a DBA set back to pending by hand: only there has a pending job a token. It is empty at all other times.
create index if not exists jobs_live_reset_idx on rowqueue.jobs_live (token)
where status = 'pending' and token is not null;

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
comment on column rowqueue.jobs.ticket is 'Its place in the claim order. Null while the job may not run: delayed, running, finished.';
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

-- sql/2_enqueue/_job_problem.sql
-- One new job as the functions pass it on: the arguments of enqueue, in its order.
do $$
begin
    if to_regtype('rowqueue._new_job') is null then
        create type rowqueue._new_job as (
            job_type text,
            payload jsonb,
            workspace_id uuid,
            priority int,
            run_after timestamptz,
            max_attempts int,
            timeout_ms int,
            unique_key text,
            queue text
        );
    end if;
end
$$;

-- Whether this is a name for a queue or a job type. Trimming tells it in a quarter of a regular expression's time.
create or replace function rowqueue._is_name(name text)
returns boolean
language sql
immutable
security invoker
as $$
    select pg_catalog.octet_length($1) operator(pg_catalog.<=) 63
        and pg_catalog.ltrim($1, 'abcdefghijklmnopqrstuvwxyz0123456789_.:-') operator(pg_catalog.=) ''
        and pg_catalog.ltrim(pg_catalog.left($1, 1), '_.:-') operator(pg_catalog.<>) ''
$$;

revoke all on function rowqueue._is_name from public;

create or replace function rowqueue._name_hint()
returns text
language sql
immutable
security invoker
as $$ select 'A name has 1 to 63 of the characters a-z 0-9 _ . : - and begins with a letter or a digit.' $$;

revoke all on function rowqueue._name_hint from public;

-- The first thing that is wrong with a job, as arguments for _reject (which argument, why, a remedy, the code); null when nothing is.
-- Nothing is written before every job of a call has passed. No SET clause, so that the planner inlines it.
create or replace function rowqueue._job_problem(
    job_type text,
    payload jsonb,
    priority int,
    run_after timestamptz,
    max_attempts int,
    timeout_ms int,
    unique_key text,
    queue text,
    now timestamptz
)
returns text[]
language sql
stable
security invoker
as $$
    select case
        when rowqueue._is_name($1) is not true
            then array['job_type', 'is not a valid name', rowqueue._name_hint(), '22023']
        when rowqueue._is_name($8) is not true
            then array['queue', 'is not a valid name', rowqueue._name_hint(), '22023']
        when $3 is null or $3 not between -32768 and 32767
            then array['priority', 'must be between -32768 and 32767', null, '22023']
        when $5 is null or $5 not between 1 and 1000
            then array['max_attempts', 'must be between 1 and 1000', null, '22023']
        when $6 is null or $6 not between 1 and 86400000
            then array['timeout_ms', 'must be between 1 and 86400000', 'It is in milliseconds, a day at most.', '22023']
        when $4 not between '1970-01-01Z' and $9 + interval '10 years'
            then array['run_after', 'must lie between 1970 and ten years from now', 'Leave it out for "now".', '22023']
        when pg_catalog.octet_length($7) not between 1 and 512
            then array['unique_key', 'must have 1 to 512 bytes', 'Leave it out, or use a hash of a longer key.', '22023']
        when pg_catalog.jsonb_typeof($2) <> 'object'
            then array['payload', 'must be a JSON object', 'Wrap it: {"value": …}.', '22023']
        when rowqueue._json_problem($2) is not null
            then array['payload', rowqueue._json_problem($2), 'Keep large or odd data elsewhere, and a reference to it here.', 'RQ103']
    end
$$;

revoke all on function rowqueue._job_problem from public;

-- sql/2_enqueue/_wake_worker.sql
-- Whether an enqueue has somebody to wake. No SET clause, so that the planner inlines it.
create or replace function rowqueue._worker_waits()
returns boolean
language sql
volatile
security invoker
as $$ select pg_catalog.pg_sequence_last_value('rowqueue.idle_mark'::pg_catalog.regclass) operator(pg_catalog.=) 2 $$;

revoke all on function rowqueue._worker_waits from public;

-- One NOTIFY when a worker waits, and none when all are busy: NOTIFY takes a lock that the whole database shares at commit.
-- The mark is cleared at once, so a burst of enqueues sends one; a worker sets it again when it next runs dry. A notification is a
-- hint: one that is lost with a rolled-back transaction, or not sent because the notification queue fills up, costs
-- latency up to the polling interval, never a job.
create or replace function rowqueue._wake_worker()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if rowqueue._worker_waits() and pg_notification_queue_usage() < 0.5 then
        perform setval('rowqueue.idle_mark', 1);
        perform pg_notify('rowqueue', '');
    end if;
end
$$;

revoke all on function rowqueue._wake_worker from public;

-- sql/2_enqueue/_insert_jobs.sql
-- The way into the table for jobs without a unique_key. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none | Writes: jobs_live, lanes
create or replace function rowqueue._insert_jobs(jobs rowqueue._new_job[])
returns table (ordinal int, id uuid, created boolean)
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
    v_now timestamptz := rowqueue._write_clock();
    v_now_us bigint := extract(epoch from v_now) * 1000000;
    v_random uuid := gen_random_uuid();
begin
    -- A lane that another transaction has made and not committed is made here too: nobody waits for anybody, and a job never
    -- becomes visible before its lane. Nothing sorts or joins the rows: they go in, and come out, in the order given.
    return query
    with made as (
        insert into rowqueue.jobs_live as j (
            id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms, queue, job_type, payload)
        select
            rowqueue._uuid7(v_now_us + n.ordinal, v_random), n.workspace_id,
            case when coalesce(n.run_after, v_now) <= v_now then rowqueue._draw_ticket() end,
            v_now, coalesce(n.run_after, v_now), n.priority, n.max_attempts, n.timeout_ms, n.queue, n.job_type, n.payload
        from unnest(_insert_jobs.jobs) with ordinality as n(
            job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, ordinal)
        returning j.id, j.queue, j.priority
    ), new_lanes as (
        insert into rowqueue.lanes (queue, priority)
        select m.queue, m.priority
        from (select distinct u.queue, u.priority from made as u) as m
        where (select true from rowqueue.lanes as l where l.queue = m.queue and l.priority = m.priority limit 1) is null
    )
    select (row_number() over ())::int, m.id, true from made as m;

    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;
end
$$;

revoke all on function rowqueue._insert_jobs from public;

-- sql/2_enqueue/_insert_keyed_jobs.sql
-- The way into the table for jobs of which some have a unique_key. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue._insert_keyed_jobs(jobs rowqueue._new_job[])
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._write_clock();
    v_now_us bigint := extract(epoch from v_now) * 1000000;
    v_random uuid := gen_random_uuid();
    v_ids uuid[] := array(
        select rowqueue._uuid7(v_now_us + g.n, v_random)
        from generate_series(1, cardinality(_insert_keyed_jobs.jobs)) as g(n));
    -- For each job: null while it is open, true when this call made it, false when it was there already.
    v_created boolean[] := array_fill(null::boolean, array[cardinality(_insert_keyed_jobs.jobs)]);
    v_made uuid[];
    v_job record;
begin
    -- The lanes first. One that another transaction has made and not committed is made here too: nobody waits for anybody, and a
    -- job never becomes visible before its lane.
    insert into rowqueue.lanes (queue, priority)
    select n.queue, n.priority
    from (select distinct u.queue, u.priority from unnest(_insert_keyed_jobs.jobs) as u) as n
    where (select true from rowqueue.lanes as l where l.queue = n.queue and l.priority = n.priority limit 1) is null;

    loop
        -- Jobs whose key is held already.
        for v_job in
            select n.ordinal, holder.id
            from unnest(_insert_keyed_jobs.jobs, v_created) with ordinality as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, created,
                ordinal)
            cross join lateral (
                select l.id
                from rowqueue.jobs_live as l
                where l.workspace_id = n.workspace_id and l.job_type = n.job_type and l.unique_key = n.unique_key
                union all
                select l.id
                from rowqueue.jobs_live as l
                where n.workspace_id is null and l.workspace_id is null
                and l.job_type = n.job_type and l.unique_key = n.unique_key
            ) as holder
            where n.created is null
        loop
            v_ids[v_job.ordinal] := v_job.id;
            v_created[v_job.ordinal] := false;
        end loop;

        exit when array_position(v_created, null) is null;

        -- A key was taken while this call waited for it, and is free again. Inserting it now, with other keys in hand, would
        -- lock keys out of their order, and two calls could deadlock: enqueue_many undoes all and begins again.
        if v_made is not null and cardinality(v_ids) > 1 then
            raise exception 'a unique_key was taken meanwhile' using errcode = 'RQ000';
        end if;

        -- Tickets are drawn in the order given, while the rows go in by key: two calls with the same keys cannot wait for
        -- each other crosswise.
        with asked as materialized (
            select n.*, case when coalesce(n.run_after, v_now) <= v_now then rowqueue._draw_ticket() end as ticket
            from unnest(_insert_keyed_jobs.jobs, v_ids, v_created) as n(
                job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, id, created)
            where n.created is null
        ), made as (
            insert into rowqueue.jobs_live (
                id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms,
                queue, job_type, unique_key, payload)
            select
                a.id, a.workspace_id, a.ticket, v_now, coalesce(a.run_after, v_now), a.priority, a.max_attempts, a.timeout_ms,
                a.queue, a.job_type, a.unique_key, a.payload
            from asked as a
            order by a.unique_key, a.job_type, a.workspace_id
            on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing
            returning id
        )
        select coalesce(array_agg(m.id), '{}') into v_made from made as m;

        if cardinality(v_made) = cardinality(v_ids) then
            v_created := array_fill(true, array[cardinality(v_ids)]);
        else
            v_created := array(
                select coalesce(n.created, case when m.id is not null then true end)
                from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal)
                left join unnest(v_made) as m(id) on m.id = n.id
                order by n.ordinal);
        end if;
    end loop;

    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;

    return query
    select n.ordinal::int, n.id, n.created
    from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal);
end
$$;

revoke all on function rowqueue._insert_keyed_jobs from public;

-- sql/2_enqueue/enqueue.sql
-- Puts one job into the queue, in the caller's transaction.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue.enqueue(
    job_type text,
    payload jsonb default '{}',
    workspace_id uuid default null,
    priority int default 0,
    run_after timestamptz default null,
    max_attempts int default 3,
    timeout_ms int default 600000,
    unique_key text default null,
    queue text default 'default'
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
as $$
declare
    v_payload jsonb := coalesce(enqueue.payload, '{}');
    v_now timestamptz := rowqueue._now();
    v_problem text[] := rowqueue._job_problem(
        enqueue.job_type, v_payload, enqueue.priority, enqueue.run_after, enqueue.max_attempts,
        enqueue.timeout_ms, enqueue.unique_key, enqueue.queue, v_now);
    v_id uuid;
    v_lane_known boolean;
begin
    if v_problem is not null then
        perform rowqueue._reject(v_problem[1], v_problem[2], v_problem[3], v_problem[4]);
    end if;

    if enqueue.unique_key is not null then
        return (
            select j.id
            from rowqueue._insert_keyed_jobs(array[row(
                enqueue.job_type, v_payload, enqueue.workspace_id, enqueue.priority, enqueue.run_after,
                enqueue.max_attempts, enqueue.timeout_ms, enqueue.unique_key, enqueue.queue
            )::rowqueue._new_job]) as j
        );
    end if;

    -- What _insert_jobs does for many, in the one statement that one job needs.
    v_now := rowqueue._write_clock();
    insert into rowqueue.jobs_live as j (
        id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms, queue, job_type, payload)
    values (
        rowqueue._uuid7((extract(epoch from v_now) * 1000000)::bigint, gen_random_uuid()), enqueue.workspace_id,
        case when coalesce(enqueue.run_after, v_now) <= v_now then rowqueue._draw_ticket() end,
        v_now, coalesce(enqueue.run_after, v_now), enqueue.priority, enqueue.max_attempts, enqueue.timeout_ms,
        enqueue.queue, enqueue.job_type, v_payload)
    returning j.id, exists (select from rowqueue.lanes as l where l.queue = j.queue and l.priority = j.priority)
    into v_id, v_lane_known;
    if not v_lane_known then
        insert into rowqueue.lanes (queue, priority) values (enqueue.queue, enqueue.priority);
    end if;
    if rowqueue._worker_waits() then
        perform rowqueue._wake_worker();
    end if;
    return v_id;
end
$$;

revoke all on function rowqueue.enqueue from public;
call rowqueue._grant('execute on function rowqueue.enqueue', 'producer', 'worker', 'admin');

comment on function rowqueue.enqueue is
'Puts one job into the queue, in the caller''s transaction: it runs once that commits. run_after delays it (null: now); a higher priority runs first (-32768 to 32767); timeout_ms is the time one attempt may take, in milliseconds (up to a day); max_attempts is 1 to 1000.
Returns: the job''s id. With a unique_key that a pending or running job of the same workspace and job type holds: that job''s id, and nothing is made.
Raises: 22023 for an argument out of range; RQ103 for a payload over 1 MiB, nested deeper than 63 levels or with a number no double can hold; 40001 under REPEATABLE READ when another transaction took the unique_key meanwhile.
State: - -> pending.
Role: producer, worker, admin.
Repeat: makes another job, unless unique_key says that they are the same.';

-- sql/2_enqueue/enqueue_many.sql
-- Puts many jobs into the queue at once: all of them or none.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue.enqueue_many(jobs jsonb)
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
rows 1000
as $$
#variable_conflict use_column
declare
    v_known constant text[] :=
        '{job_type,payload,workspace_id,priority,run_after,max_attempts,timeout_ms,unique_key,queue}';
    v_now timestamptz := rowqueue._now();
    v_odd record;
    v_bad record;
    v_jobs rowqueue._new_job[];
begin
    if enqueue_many.jobs is null or jsonb_typeof(enqueue_many.jobs) <> 'array' then
        perform rowqueue._reject('jobs', 'must be a JSON array of objects', 'Each object has enqueue''s argument names as keys.');
    elsif jsonb_array_length(enqueue_many.jobs) > 100000 then
        perform rowqueue._reject('jobs', 'must have at most 100000 elements', 'Enqueue in several calls.');
    end if;

    select j.ordinal, jsonb_typeof(j.job) as kind
    into v_odd
    from jsonb_array_elements(enqueue_many.jobs) with ordinality as j(job, ordinal)
    where case when jsonb_typeof(j.job) = 'object' then (j.job - v_known) <> '{}' else true end
    limit 1;
    if v_odd.kind = 'object' then
        perform rowqueue._reject(format('jobs[%s]', v_odd.ordinal), 'has a key that is no argument of enqueue',
            'The keys are ' || array_to_string(v_known, ', ') || '.');
    elsif v_odd.kind is not null then
        perform rowqueue._reject(format('jobs[%s]', v_odd.ordinal), format('is of type %s, not an object', v_odd.kind));
    end if;

    select array_agg(row(
        j.job_type, coalesce(j.payload, '{}'), j.workspace_id, coalesce(j.priority, 0), j.run_after,
        coalesce(j.max_attempts, 3), coalesce(j.timeout_ms, 600000), j.unique_key, coalesce(j.queue, 'default')
    )::rowqueue._new_job)
    into v_jobs
    from jsonb_to_recordset(enqueue_many.jobs) as j(
        job_type text, payload jsonb, workspace_id uuid, priority int, run_after timestamptz,
        max_attempts int, timeout_ms int, unique_key text, queue text);

    select n.ordinal, p.problem
    into v_bad
    from unnest(v_jobs) with ordinality as n(
        job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, ordinal)
    cross join lateral (
        select rowqueue._job_problem(
            n.job_type, n.payload, n.priority, n.run_after, n.max_attempts, n.timeout_ms, n.unique_key, n.queue, v_now) as problem
    ) as p
    where p.problem is not null
    limit 1;
    if found then
        perform rowqueue._reject(
            format('jobs[%s].%s', v_bad.ordinal, v_bad.problem[1]), v_bad.problem[2], v_bad.problem[3], v_bad.problem[4]);
    end if;

    if exists (select from unnest(v_jobs) as n where n.unique_key is not null) then
        loop
            begin
                return query select * from rowqueue._insert_keyed_jobs(v_jobs);
                return;
            exception when sqlstate 'RQ000' then
                null;
            end;
        end loop;
    elsif v_jobs is not null then
        return query select * from rowqueue._insert_jobs(v_jobs);
    end if;
end
$$;

revoke all on function rowqueue.enqueue_many from public;
call rowqueue._grant('execute on function rowqueue.enqueue_many', 'producer', 'worker', 'admin');

comment on function rowqueue.enqueue_many is
'Puts many jobs into the queue, in the caller''s transaction: all of them or none. jobs is an array of up to 100000 objects whose keys are enqueue''s argument names; what is left out or null has enqueue''s default.
Returns: a row for each element, in the order given: ordinal (from 1), the id, and whether this call made the job (false: its unique_key was taken, and the id is that of the job which holds it).
Raises: 22023 for an argument out of range or an unknown key; RQ103 for a payload that cannot be stored; 22P02 and its kin where a value is not of its type.
State: - -> pending.
Role: producer, worker, admin.
Repeat: makes the jobs again, except those with a unique_key.';

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
            where j.queue = any (_any_due.queues) and j.status = 'pending' and j.ticket is null
            and j.run_after >= (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1)
            and j.run_after <= v_now)
        or exists (select from rowqueue.jobs_live as j where j.status = 'pending' and j.token is not null);
end
$$;

revoke all on function rowqueue._any_due from public;

-- Gives a ticket to jobs of some queues that have none and are due: delayed and retrying ones whose time has come, and, in any queue,
-- those that a DBA set back to pending by hand. Highest priority first, of the thousand that have been due longest in each
-- queue. Returns how many.
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
    c_pending constant text := 'pending';
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
            where j.queue = q.queue and j.status = 'pending' and j.ticket is null
            and j.run_after >= v_due_floor and j.run_after <= v_now
            order by j.run_after
            limit 1000
        ) as head
    ), first as materialized (
        select j.ctid
        from due as d
        -- The status is compared with a variable, so that the planner cannot prove the predicate of jobs_live_due_idx, and walk
        -- all that waits instead of asking by ctid.
        join rowqueue.jobs_live as j on j.ctid = d.ctid
        where j.status = c_pending and j.ticket is null
        order by d.priority desc, d.run_after
        limit _promote.max_jobs
        for update of j skip locked
    ), reset_by_hand as materialized (
        select j.ctid
        from rowqueue.jobs_live as j
        where j.status = 'pending' and j.token is not null
        limit _promote.max_jobs
        for update skip locked
    ), promoted as (
        update rowqueue.jobs_live as j
        set ticket = case when j.run_after <= v_now then coalesce(j.ticket, rowqueue._draw_ticket()) end,
            token = null,
            worker = null,
            lease_until = null,
            -- Who resets the last attempt by hand wants it to run once more.
            attempts = least(j.attempts, j.max_attempts - 1)
        from (select f.ctid from first as f union all select r.ctid from reset_by_hand as r) as ready
        where j.ctid = ready.ctid
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
                where j.queue = q.queue and j.status = 'pending' and j.ticket is null
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
-- State: pending -> running | Locks: the claimed rows of jobs_live, skipping locked ones | Writes: jobs_live
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
    v_now timestamptz := rowqueue._now();
    v_left int := claim_next.max_jobs;
    v_count int;
    v_level record;
    v_cutoff bigint;
    c_any constant bigint := 9223372036854775807;
begin
    perform rowqueue._check_claim(claim_next.worker, claim_next.queues, claim_next.max_jobs, claim_next.lease);

    -- What has become due meanwhile joins the lanes, but no more than this call may take: in a long transaction, the rest must
    -- not be kept from other workers.
    if rowqueue._any_due(claim_next.queues) then
        perform rowqueue._promote(claim_next.queues, claim_next.max_jobs);
    end if;

    for v_level in
        select l.priority, array_agg(l.queue) as queues, array_agg(l.floor) as floors
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
                    order by j.ticket
                    limit v_left
                ) as head
                order by head.ticket
                limit v_left
            ) as first;
        end if;

        while v_left > 0 and v_cutoff is not null loop
            -- The claim. `head` locks the first free jobs of each lane in ticket order: one index scan a lane that begins
            -- at the floor and stops at the limit. It is materialized so that it runs once, whatever the plan, and
            -- feeds the update by ctid, so that the update takes just these rows, in this order; tokens rise with
            -- tickets, and the rows come out in the order of the claim. The row lock has given the transaction its
            -- id before the first token is drawn, which the token floor relies on (6_maintain/_raise_floors.sql).
            -- `stop` is where a job that may be a killer stands: it ends the batch, or is the batch.
            return query
            with head as materialized (
                select h.ctid, h.ticket, h.crashes
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ctid, j.ticket, j.crashes
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority
                    and j.ticket >= lane.floor and j.ticket <= v_cutoff
                    order by j.ticket
                    limit v_left
                    for update skip locked
                ) as h
                order by h.ticket
                limit v_left
            ), stop as materialized (
                select case
                    when min(h.ticket) = min(h.ticket) filter (where h.crashes > 0) and v_left = claim_next.max_jobs
                        then min(h.ticket) + 1
                    else coalesce(min(h.ticket) filter (where h.crashes > 0), c_any)
                end as ticket
                from head as h
            )
            update rowqueue.jobs_live as j
            set status = 'running',
                ticket = null,
                token = nextval('rowqueue.tokens'::regclass),
                attempts = j.attempts + 1,
                claimed_alone = (claim_next.max_jobs = 1 or j.crashes > 0),
                worker = claim_next.worker,
                started_at = v_now,
                lease_until = v_now + claim_next.lease,
                progress = null
            from head as h
            where j.ctid = h.ctid and h.ticket < (select s.ticket from stop as s)
            returning
                j.id, j.token, j.queue, j.job_type, j.workspace_id, j.payload, j.priority, j.attempts, j.max_attempts,
                j.timeout_ms, j.created_at, j.lease_until, j.crashes > 0;
            get diagnostics v_count = row_count;

            v_left := v_left - v_count;

            -- Such a job ends the call, whether it was taken or comes next: nothing of a lower priority may overtake it.
            if v_left between 1 and claim_next.max_jobs - 1 and exists (
                select
                from rowqueue.jobs_live as j
                where j.status = 'running' and j.token = currval('rowqueue.tokens'::regclass) and j.crashes > 0
                union all
                select
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.crashes
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority and j.ticket >= lane.floor
                    order by j.ticket
                    limit 1
                ) as next
                where next.crashes > 0
            ) then
                v_left := 0;
            end if;
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
    -- walk over jobs_live_pkey, and in a generic plan from_status is unknown, which leaves it none over jobs_live_running_idx.
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

-- sql/5_finish/complete_many.sql
-- Completes many jobs: running -> completed.
-- State: running -> completed | Locks: those rows of jobs_live, in id order | Writes: jobs_live, jobs_finished
create or replace function rowqueue.complete_many(job_ids uuid[], tokens bigint[], results jsonb[] default null)
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
    v_done uuid[];
    v_bad record;
begin
    perform rowqueue._check_tokens(complete_many.job_ids, complete_many.tokens);
    if array_ndims(complete_many.results) > 1
        or cardinality(complete_many.results) not in (0, cardinality(complete_many.job_ids)) then
        perform rowqueue._reject('results', 'must be an array with one result for each id, or null');
    end if;

    -- A result that cannot be stored fails its own job, and no other.
    if complete_many.results is not null then
        for v_bad in
            select r.id, r.token, r.problem
            from (
                select a.id, a.token, rowqueue._json_problem(a.result) as problem
                from unnest(complete_many.job_ids, complete_many.tokens, complete_many.results) as a(id, token, result)
                where a.result is not null
            ) as r
            where r.problem is not null
            order by r.id
        loop
            perform rowqueue._end_attempt(j, 'result cannot be stored: it ' || v_bad.problem)
            from rowqueue._lock_running(v_bad.id, v_bad.token) as j;
        end loop;
    end if;

    v_done := rowqueue._finish(
        complete_many.job_ids, complete_many.tokens, 'running', 'completed', complete_many.results);

    return query select d.id, 'completed' from unnest(v_done) as d(id);
    if cardinality(v_done) < cardinality(complete_many.job_ids) then
        return query
        select
            a.id,
            case
                when rowqueue._is_completed(a.id, a.tokens) then 'already'
                else 'lost'
            end
        from (
            select u.id, array_agg(u.token) as tokens
            from unnest(complete_many.job_ids, complete_many.tokens) as u(id, token)
            where u.id <> all(v_done)
            group by u.id
        ) as a;
    end if;
end
$$;

revoke all on function rowqueue.complete_many from public;
call rowqueue._grant('execute on function rowqueue.complete_many', 'worker', 'admin');

comment on function rowqueue.complete_many is
'Completes up to 10000 jobs in one call, in the caller''s transaction: what the handlers wrote in it and the completions stand or fall together. results are any JSON values, null for none.
Returns: a row for each job. completed; already: an earlier call with this token completed it; lost: the token no longer holds the job. A result that cannot be stored (see RQ103 in enqueue) fails that job with backoff and reads lost.
Raises: 22023 for arrays that do not match. Never an error for one bad row.
State: running -> completed.
Role: worker, admin.
Repeat: already.';

-- sql/5_finish/complete.sql
-- Completes one job.
-- State: running -> completed | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.complete(job_id uuid, token bigint, result jsonb default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text := rowqueue._json_problem(complete.result);
    v_done uuid[];
begin
    perform rowqueue._check_token(complete.job_id, complete.token);
    if v_problem is not null then
        raise exception 'result %', v_problem
            using errcode = 'RQ103', hint = 'Store large or odd data elsewhere and return a reference to it.';
    end if;

    v_done := rowqueue._finish(
        array[complete.job_id], array[complete.token], 'running', 'completed', array[complete.result]);
    if v_done = '{}' and not rowqueue._is_completed(complete.job_id, array[complete.token]) then
        perform rowqueue._raise_lost(complete.job_id, complete.token);
    end if;
end
$$;

revoke all on function rowqueue.complete from public;
call rowqueue._grant('execute on function rowqueue.complete', 'worker', 'admin');

comment on function rowqueue.complete is
'Completes a running job, in the caller''s transaction: a business write and the completion stand or fall together. result is any JSON value.
Returns: nothing.
Raises: RQ101 when the token no longer holds the job, so that the caller''s transaction rolls back too; RQ102 when it failed or was cancelled under this token; RQ001 when there is none; RQ103 for a result that cannot be stored; 22023 for a null id or token.
State: running -> completed.
Role: worker, admin.
Repeat: with the token that completed it, does nothing.';

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
    return '0002';
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
