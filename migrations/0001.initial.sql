-- depends:

-- Copies of sql/ as it stood, written by `make freeze`.

-- sql/0_base/schema.sql
-- The schema that holds everything. Nothing of rowqueue lives outside it, save four roles.
create schema if not exists rowqueue;

comment on schema rowqueue is
'A job queue. People call its functions and read the view rowqueue.job; the tables belong to the owner and to rowqueue_admin. Start with: select * from rowqueue.health();';

-- sql/0_base/roles.sql
-- Four group roles (NOLOGIN) that a DBA grants to login roles. They are made only where the installing user may create
-- roles; elsewhere the queue works for its owner, and the notice says how to add them later.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['rowqueue_producer', 'rowqueue_worker', 'rowqueue_observer', 'rowqueue_admin']
    loop
        if exists (select from pg_catalog.pg_roles as r where r.rolname = v_role) then
            continue;
        elsif exists (
            select
            from pg_catalog.pg_roles as r
            where r.rolname = current_user and (r.rolcreaterole or r.rolsuper)
        ) then
            begin
                execute format('create role %I nologin', v_role);
            exception when duplicate_object or unique_violation then
                -- Roles belong to the cluster: an install in another database was quicker.
                null;
            end;
        else
            raise notice 'role % is missing, and % may not create roles', v_role, current_user
                using hint = format(
                    'Ask a superuser to run "create role %I nologin", then run "select rowqueue.grant_roles()".', v_role);
        end if;
    end loop;
end
$$;

-- sql/0_base/grants.sql
-- Who may do what: each object's own file says it with call rowqueue._grant(…), next to its revoke.
-- Writes: rowqueue.grants, so that grant_roles() can repeat the grants once the roles exist.
create table if not exists rowqueue.grants (
    privilege text not null,
    role text not null,
    constraint grants_pkey primary key (privilege, role)
);

comment on table rowqueue.grants is
'What each role of rowqueue may do. Written at installation; rowqueue.grant_roles() turns it into GRANTs.';
comment on column rowqueue.grants.privilege is 'What stands between GRANT and TO, such as "execute on function rowqueue.enqueue".';
comment on column rowqueue.grants.role is 'The role that has it: rowqueue_producer, rowqueue_worker, rowqueue_observer or rowqueue_admin.';

create or replace procedure rowqueue._grant(privilege text, variadic roles text[])
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_role text;
begin
    foreach v_role in array _grant.roles
    loop
        v_role := 'rowqueue_' || v_role;
        insert into rowqueue.grants (privilege, role)
        values (_grant.privilege, v_role)
        on conflict do nothing;
        if exists (select from pg_catalog.pg_roles as r where r.rolname = v_role) then
            execute format('grant %s to %I', _grant.privilege, v_role);
        end if;
    end loop;
end
$$;

revoke all on procedure rowqueue._grant from public;
call rowqueue._grant('usage on schema rowqueue', 'producer', 'worker', 'observer', 'admin');
call rowqueue._grant('select on table rowqueue.grants', 'admin');

-- sql/0_base/errors.sql
-- The one list of error codes: documents, tests and the Python exception classes are made from it or checked against it.
create table if not exists rowqueue.error_codes (
    code text not null,
    name text not null,
    meaning text not null,
    constraint error_codes_pkey primary key (code)
);

comment on table rowqueue.error_codes is 'Every SQLSTATE that a function of rowqueue raises by itself. Codes are stable; messages are not.';
comment on column rowqueue.error_codes.code is 'The SQLSTATE, five characters.';
comment on column rowqueue.error_codes.name is 'A name for it, as the Python exception classes use it.';
comment on column rowqueue.error_codes.meaning is 'What it means and what to do.';

insert into rowqueue.error_codes (code, name, meaning)
values
    ('22023', 'invalid_argument', 'An argument is out of range or malformed. The message names it; the hint gives the remedy.'),
    ('RQ001', 'job_not_found', 'No job has this id. It may have been purged.'),
    ('RQ101', 'lease_lost', 'This token no longer holds the job: the lease ran out and the job was handed on. Stop working on it.'),
    ('RQ102', 'wrong_state', 'The job is in a state that does not allow this call.'),
    ('RQ103', 'not_storable', 'A payload or result cannot be stored and read back safely: too large, too deep, or a number out of range.'),
    ('RQ104', 'key_conflict', 'Reserved: a key was used again with another payload where the caller asked for a conflict.'),
    ('RQ201', 'paused', 'Reserved: the queue or workspace is paused.'),
    ('RQ202', 'over_quota', 'Reserved: the workspace is over its quota.')
on conflict (code) do update set name = excluded.name, meaning = excluded.meaning;

call rowqueue._grant('select on table rowqueue.error_codes', 'producer', 'worker', 'observer', 'admin');

-- Raises an error about one argument. A caller reads: if … then perform rowqueue._reject('priority', 'must be …'); end if;
create or replace function rowqueue._reject(argument text, reason text, hint text default null, code text default '22023')
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if _reject.hint is null then
        raise exception '% %', _reject.argument, _reject.reason using errcode = _reject.code;
    end if;
    raise exception '% %', _reject.argument, _reject.reason using errcode = _reject.code, hint = _reject.hint;
end
$$;

revoke all on function rowqueue._reject from public;

-- sql/0_base/clock.sql
-- All time comes from here. A test replaces this function to own the clock; in production nothing can set it.
-- It is the time of the call, not of the transaction: a lease taken late in a long transaction must not be born expired.
-- No SET clause, so that the planner inlines it.
create or replace function rowqueue._now()
returns timestamptz
language sql
volatile
security invoker
as $$ select pg_catalog.clock_timestamp() $$;

revoke all on function rowqueue._now from public;

-- The clock for a transaction that will write a run_after or draw a ticket. The transaction id comes first, so that whoever
-- sees this id ended has also seen everything that was written with an earlier clock (see 6_maintain/_raise_floors.sql).
create or replace function rowqueue._write_clock()
returns timestamptz
language sql
volatile
security invoker
as $$ select case when pg_catalog.pg_current_xact_id() is not null then rowqueue._now() end $$;

revoke all on function rowqueue._write_clock from public;

-- Milliseconds since 1970, the unit in which the clock sequences keep an instant.
create or replace function rowqueue._epoch_ms(at timestamptz)
returns bigint
language sql
immutable
security invoker
as $$ select (extract(epoch from $1) * 1000)::pg_catalog.int8 $$;

revoke all on function rowqueue._epoch_ms from public;

-- sql/0_base/ids.sql
-- Job ids are UUIDv7 (RFC 9562, section 5.7): time first, so that new entries land side by side in the id index, newest is
-- largest, and an id tells which finished partitions cannot hold it. PostgreSQL 18 has uuidv7(); below, the same is built here:
-- 48 bits of milliseconds, 12 bits of the fraction of one, 62 random bits. `at_us` is in microseconds since 1970; a batch counts
-- it up, so that its ids rise in its order. No SET clause, so that the planner inlines it.
do $do$
begin
    if current_setting('server_version_num')::int >= 180000 then
        create or replace function rowqueue._new_id(at_us bigint)
        returns uuid
        language sql
        volatile
        security invoker
        as $$ select pg_catalog.uuidv7() $$;
    else
        create or replace function rowqueue._new_id(at_us bigint)
        returns uuid
        language sql
        volatile
        security invoker
        as $$
            select pg_catalog.encode(
                pg_catalog.substring(pg_catalog.int8send($1 / 1000), 3)
                || pg_catalog.int2send((28672 + ($1 % 1000) * 4096 / 1000)::pg_catalog.int2)
                || pg_catalog.substring(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), 9),
                'hex')::pg_catalog.uuid
        $$;
    end if;
end
$do$;

revoke all on function rowqueue._new_id from public;

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
-- The checks go from cheap to dear, and most documents pass at the second: 64 levels take 128 characters, and a number beyond a
-- double takes more than 300. A larger document is not written out as text before its numbers have been looked at:
-- 1e131071 takes 30 bytes in jsonb and 131,000 as text. No SET clause, so that the planner inlines it.
create or replace function rowqueue._json_problem(doc jsonb)
returns text
language sql
stable
security invoker
as $$
    select case
        -- In an array of its own, for a value read from a table may be compressed, and count as small.
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) > 1048576 then 'is larger than 1 MiB'
        when pg_catalog.pg_column_size(pg_catalog.jsonb_build_array($1)) < 768
            and pg_catalog.octet_length($1::pg_catalog.text) < 128 then null
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

-- sql/0_base/types.sql
-- What claim_next returns. New fields go last.
do $$
begin
    if to_regtype('rowqueue.claimed_job') is null then
        create type rowqueue.claimed_job as (
            id uuid,
            token bigint,
            queue text,
            job_type text,
            workspace_id uuid,
            payload jsonb,
            priority int,
            attempts int,
            max_attempts int,
            timeout_ms int,
            created_at timestamptz,
            lease_until timestamptz,
            alone boolean
        );
    end if;
    if to_regtype('rowqueue.queue_health') is null then
        create type rowqueue.queue_health as (
            queue text,
            pending bigint,
            due bigint,
            running bigint,
            stuck bigint,
            failed_last_hour bigint,
            failure_rate_last_hour numeric,
            oldest_due_age interval
        );
    end if;
end
$$;

comment on type rowqueue.claimed_job is 'A job as a worker gets it from claim_next.';
comment on column rowqueue.claimed_job.id is 'The job.';
comment on column rowqueue.claimed_job.token is 'The fencing token of this claim: every report on the job must name it.';
comment on column rowqueue.claimed_job.queue is 'The queue it was in.';
comment on column rowqueue.claimed_job.job_type is 'What to do.';
comment on column rowqueue.claimed_job.workspace_id is 'The workspace it belongs to, or null.';
comment on column rowqueue.claimed_job.payload is 'What to do it with.';
comment on column rowqueue.claimed_job.priority is 'Its priority.';
comment on column rowqueue.claimed_job.attempts is 'Which attempt this is, from 1.';
comment on column rowqueue.claimed_job.max_attempts is 'How many it gets.';
comment on column rowqueue.claimed_job.timeout_ms is 'How long this attempt may take from now on, in milliseconds.';
comment on column rowqueue.claimed_job.created_at is 'When it was enqueued.';
comment on column rowqueue.claimed_job.lease_until is 'Extend the lease before this instant.';
comment on column rowqueue.claimed_job.alone is
'An earlier lease on it ran out, so it may be a job that kills its worker: run nothing else in the same process meanwhile.';

comment on type rowqueue.queue_health is 'The state of one queue, from health().';
comment on column rowqueue.queue_health.queue is 'The queue.';
comment on column rowqueue.queue_health.pending is 'Jobs that wait, due or not.';
comment on column rowqueue.queue_health.due is 'Pending jobs that may run now.';
comment on column rowqueue.queue_health.running is 'Jobs that a worker holds.';
comment on column rowqueue.queue_health.stuck is 'Running jobs whose lease or timeout ran out: reap_stuck() is due.';
comment on column rowqueue.queue_health.failed_last_hour is 'Jobs that failed for good in the last hour.';
comment on column rowqueue.queue_health.failure_rate_last_hour is 'Their share of the jobs that completed or failed in the last hour, 0 to 1; null when there were none.';
comment on column rowqueue.queue_health.oldest_due_age is 'How long the oldest due job has been due; null when none is.';

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
    -- Room on each page for the heartbeats and progress reports of its jobs: they are HOT updates.
    fillfactor = 70,
    -- A queue turns over: clear up after thousands of dead rows, not after a fifth of a backlog of millions.
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2
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

-- sql/1_tables/lanes.sql
-- A lane is a queue and a priority. Its row also holds its floor: no claimable ticket of the lane lies below it, so every scan
-- of the claim index begins there and never walks over the entries of jobs that are gone. That matters while a snapshot is held
-- open somewhere, for then nothing can remove those entries.
--
-- The table is only inserted into and deleted from, and the largest floor counts: a reader takes the first entry of the index
-- and stops, so that the dead rows of earlier floors are never walked either. It has no unique constraint: transactions that
-- enqueue the first jobs of a lane each make it, without waiting for each other. A second row with floor 0 does no harm.
create table if not exists rowqueue.lanes (
    floor bigint not null default 0,
    priority int not null,
    queue text not null
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

create index if not exists lanes_floor_idx on rowqueue.lanes (queue, priority desc, floor desc);

revoke all on table rowqueue.lanes from public;
call rowqueue._grant('select on table rowqueue.lanes', 'admin');

comment on table rowqueue.lanes is 'The lanes (queue, priority) that have been used, with their floors. The largest floor of a lane counts.';
comment on column rowqueue.lanes.queue is 'The queue.';
comment on column rowqueue.lanes.priority is 'The priority.';
comment on column rowqueue.lanes.floor is 'No claimable ticket of the lane lies below it. Only for speed: a low floor is always right.';

-- The lanes of some queues, one row each with its floor, read by seeking from head to head.
-- No SET clause, so that the planner inlines it.
create or replace function rowqueue._lanes_of(queues text[])
returns table (queue text, priority int, floor bigint)
language sql
stable
security invoker
as $$
    with recursive lane as (
        select q.queue, head.priority, head.floor
        from (select distinct u.queue from pg_catalog.unnest($1) as u(queue)) as q
        cross join lateral (
            select l.priority, l.floor
            from rowqueue.lanes as l
            where l.queue = q.queue
            order by l.priority desc, l.floor desc
            limit 1
        ) as head
        union all
        select lane.queue, head.priority, head.floor
        from lane
        cross join lateral (
            select l.priority, l.floor
            from rowqueue.lanes as l
            where l.queue = lane.queue and l.priority < lane.priority
            order by l.priority desc, l.floor desc
            limit 1
        ) as head
    )
    select lane.queue, lane.priority, lane.floor from lane
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
    token_floor bigint not null,
    applied boolean not null,
    constraint watermarks_pkey primary key (id)
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, token_floor, applied)
select pg_catalog.pg_current_xact_id(), 0, 0, rowqueue._now(), '-infinity', 0, true
where not exists (select from rowqueue.watermarks);

revoke all on table rowqueue.watermarks from public;
call rowqueue._grant('select on table rowqueue.watermarks', 'admin');

comment on table rowqueue.watermarks is 'How far the maintenance has come: what lies below is known to be over. The newest row counts.';
comment on column rowqueue.watermarks.id is 'The newest row is the largest.';
comment on column rowqueue.watermarks.xid is 'The transaction that noted ticket, token and seen_at. Once all up to it have ended, the note can be used.';
comment on column rowqueue.watermarks.ticket is 'The last ticket drawn before xid was assigned.';
comment on column rowqueue.watermarks.token is 'The last token drawn before xid was assigned.';
comment on column rowqueue.watermarks.seen_at is 'The clock before xid was assigned.';
comment on column rowqueue.watermarks.due_floor is 'No job without a ticket has a run_after before this instant.';
comment on column rowqueue.watermarks.token_floor is 'No running job has a token below this one.';
comment on column rowqueue.watermarks.applied is 'The note has been used to raise the floors.';

-- A clock, a mark and a counter that must be written without leaving dead rows: a sequence is overwritten in place.
-- They are hints: setval takes effect at once and is not rolled back, and nothing breaks when one is wrong.
create sequence if not exists rowqueue.swept_at minvalue 0 start 0;
create sequence if not exists rowqueue.idle_mark minvalue 1 maxvalue 3;
create sequence if not exists rowqueue.below_floor minvalue 1;

comment on sequence rowqueue.swept_at is 'When tick() last looked below the floors, in milliseconds since 1970.';
comment on sequence rowqueue.idle_mark is '1: no worker waits. 2: a worker waits for a notification. 3: notifications are switched off.';
comment on sequence rowqueue.below_floor is 'How many jobs were found below a floor (when is_called). It must stay unused: each one was a job that waited too long.';

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
        when $1 is null or $1 operator(pg_catalog.!~) '^[a-z0-9][a-z0-9_.:-]{0,62}$'
            then array['job_type', 'is not a valid name', rowqueue._name_hint(), '22023']
        when $8 is null or $8 operator(pg_catalog.!~) '^[a-z0-9][a-z0-9_.:-]{0,62}$'
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
    if pg_sequence_last_value('rowqueue.idle_mark'::regclass) = 2 and pg_notification_queue_usage() < 0.5 then
        perform setval('rowqueue.idle_mark', 1);
        perform pg_notify('rowqueue', '');
    end if;
end
$$;

revoke all on function rowqueue._wake_worker from public;

-- sql/2_enqueue/_insert_jobs.sql
-- The one way into the table: enqueue and enqueue_many share it. Returns a row for each job, in the order given.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue._insert_jobs(jobs rowqueue._new_job[])
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
    v_ids uuid[] := array(
        select rowqueue._new_id(v_now_us + g.n) from generate_series(1, cardinality(_insert_jobs.jobs)) as g(n));
    -- For each job: null while it is open, true when this call made it, false when it was there already.
    v_created boolean[] := array_fill(null::boolean, array[cardinality(_insert_jobs.jobs)]);
    v_keyed boolean := exists (select from unnest(_insert_jobs.jobs) as n where n.unique_key is not null);
    v_made uuid[];
    v_job record;
begin
    -- The lanes first. One that another transaction has made and not committed is made here too: nobody waits for anybody, and a
    -- job never becomes visible before its lane.
    insert into rowqueue.lanes (queue, priority)
    select n.queue, n.priority
    from (select distinct u.queue, u.priority from unnest(_insert_jobs.jobs) as u) as n
    where (select true from rowqueue.lanes as l where l.queue = n.queue and l.priority = n.priority limit 1) is null;

    loop
        -- Jobs whose key is held already.
        if v_keyed then
            for v_job in
                select n.ordinal, holder.id
                from unnest(_insert_jobs.jobs, v_created) with ordinality as n(
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
        end if;

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
            from unnest(_insert_jobs.jobs, v_ids, v_created) as n(
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

    perform rowqueue._wake_worker();

    return query
    select n.ordinal::int, n.id, n.created
    from unnest(v_ids, v_created) with ordinality as n(id, created, ordinal);
end
$$;

revoke all on function rowqueue._insert_jobs from public;

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
as $$
declare
    v_payload jsonb := coalesce(enqueue.payload, '{}');
    v_problem text[] := rowqueue._job_problem(
        enqueue.job_type, v_payload, enqueue.priority, enqueue.run_after, enqueue.max_attempts,
        enqueue.timeout_ms, enqueue.unique_key, enqueue.queue, rowqueue._now());
begin
    if v_problem is not null then
        perform rowqueue._reject(v_problem[1], v_problem[2], v_problem[3], v_problem[4]);
    end if;

    return (
        select j.id
        from rowqueue._insert_jobs(array[row(
            enqueue.job_type, v_payload, enqueue.workspace_id, enqueue.priority, enqueue.run_after,
            enqueue.max_attempts, enqueue.timeout_ms, enqueue.unique_key, enqueue.queue
        )::rowqueue._new_job]) as j
    );
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
                return query select * from rowqueue._insert_jobs(v_jobs);
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

-- sql/3_claim/_check_claim.sql
-- Raises 22023 for the first thing that is wrong with the arguments of claim_next.
create or replace function rowqueue._check_claim(worker text, queues text[], max_jobs int, lease interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if worker is null or octet_length(worker) not between 1 and 200 then
        perform rowqueue._reject('worker', 'must have 1 to 200 bytes', 'Name the host and the process.');
    elsif queues is null or cardinality(queues) not between 1 and 100 or array_ndims(queues) <> 1
        or array_position(queues, null) is not null then
        perform rowqueue._reject('queues', 'must be an array of 1 to 100 names');
    elsif max_jobs is null or max_jobs not between 1 and 1000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 1000');
    end if;
    perform rowqueue._check_lease(lease);
end
$$;

revoke all on function rowqueue._check_claim from public;

create or replace function rowqueue._check_lease(lease interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if lease is null or lease <= interval '0' or lease > interval '1 day' then
        perform rowqueue._reject('lease', 'must be more than nothing and at most a day');
    end if;
end
$$;

revoke all on function rowqueue._check_lease from public;

-- sql/3_claim/_promote.sql
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
    perform rowqueue._promote(claim_next.queues, claim_next.max_jobs);

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

-- sql/3_claim/mark_idle.sql
-- Asks for a notification.
-- State: - | Locks: none | Writes: the sequence rowqueue.idle_mark, when it is not set yet
create or replace function rowqueue.mark_idle()
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_mark bigint := coalesce(pg_sequence_last_value('rowqueue.idle_mark'::regclass), 1);
begin
    if v_mark = 1 then
        perform setval('rowqueue.idle_mark', 2);
    end if;
    return v_mark <> 3;
end
$$;

revoke all on function rowqueue.mark_idle from public;
call rowqueue._grant('execute on function rowqueue.mark_idle', 'worker', 'admin');

comment on function rowqueue.mark_idle is
'Says that a worker found nothing to do and listens on channel rowqueue: the next enqueue sends one notification. Call it after an empty claim_next, then claim once more, then wait; go on polling, for a notification is a hint that may be missed. An enqueue that was under way when the mark was set may send none, so poll a few times quickly at first.
Returns: true; false when notifications are switched off (see set_notify) and only polling finds jobs.
Raises: nothing.
State: changes no job.
Role: worker, admin.
Repeat: writes nothing while the mark is set.';

-- sql/4_run/_raise_lost.sql
-- Says why a token does not hold a job: called by whoever found no row of jobs_live with this id, this token and status running.
create or replace function rowqueue._raise_lost(job_id uuid, token bigint)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job record;
begin
    select j.status, j.token
    into v_job
    from rowqueue.jobs_live as j
    where j.id = _raise_lost.job_id
    union all
    select j.status, j.token
    from rowqueue.jobs_finished as j
    where j.id = _raise_lost.job_id and j.completed_at >= rowqueue._id_time(_raise_lost.job_id)
    limit 1;

    if not found then
        perform rowqueue._raise_not_found(_raise_lost.job_id);
    elsif v_job.token = _raise_lost.token and v_job.status in ('completed', 'failed', 'cancelled') then
        raise exception 'job % is % already', _raise_lost.job_id, v_job.status
            using errcode = 'RQ102', hint = 'It is finished: drop what you have for it.';
    else
        raise exception 'lease on job % is lost', _raise_lost.job_id
            using errcode = 'RQ101',
                detail = format('Token %s no longer holds it; it is %s now.', _raise_lost.token, v_job.status),
                hint = 'Stop working on it. Extend the lease more often, or take a longer one.';
    end if;
end
$$;

revoke all on function rowqueue._raise_lost from public;

create or replace function rowqueue._raise_not_found(job_id uuid)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if _raise_not_found.job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    end if;
    raise exception 'no such job: %', _raise_not_found.job_id
        using errcode = 'RQ001', hint = 'It may have been purged.';
end
$$;

revoke all on function rowqueue._raise_not_found from public;

-- Raises 22023 unless a call names a job and a token.
create or replace function rowqueue._check_token(job_id uuid, token bigint)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    elsif token is null then
        perform rowqueue._reject('token', 'must not be null', 'It is in what claim_next returned.');
    end if;
end
$$;

revoke all on function rowqueue._check_token from public;

-- Raises 22023 unless a call names some jobs and as many tokens.
create or replace function rowqueue._check_tokens(job_ids uuid[], tokens bigint[])
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if job_ids is null or array_ndims(job_ids) > 1 or array_position(job_ids, null) is not null
        or cardinality(job_ids) > 10000 then
        perform rowqueue._reject('job_ids', 'must be an array of at most 10000 ids, none null');
    elsif tokens is null or array_ndims(tokens) > 1 or array_position(tokens, null) is not null
        or cardinality(tokens) <> cardinality(job_ids) then
        perform rowqueue._reject('tokens', 'must be an array with one token for each id, none null');
    end if;
end
$$;

revoke all on function rowqueue._check_tokens from public;

-- sql/4_run/report_progress.sql
-- Notes how far a running job is.
-- State: running -> running | Locks: one row of jobs_live | Writes: jobs_live (a HOT update)
create or replace function rowqueue.report_progress(
    job_id uuid,
    token bigint,
    current numeric,
    total numeric default null,
    message text default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    c_most constant numeric := 1e15;
    v_progress jsonb;
    v_job record;
begin
    perform rowqueue._check_token(report_progress.job_id, report_progress.token);
    if report_progress.current is null or report_progress.current not between 0 and c_most then
        perform rowqueue._reject('current', 'must be between 0 and 1e15');
    elsif report_progress.total not between 0 and c_most then
        perform rowqueue._reject('total', 'must be between 0 and 1e15', 'Leave it out while it is not known.');
    elsif report_progress.current > report_progress.total then
        perform rowqueue._reject('current', 'must not be more than total', 'Raise total in the same call.');
    end if;

    v_progress := jsonb_build_object(
        'current', trim_scale(round(report_progress.current, 6)),
        'total', trim_scale(round(report_progress.total, 6)),
        'message', rowqueue._clip(report_progress.message, 1024));

    select j.cancel_requested_at is null as go_on, j.progress
    into v_job
    from rowqueue.jobs_live as j
    where j.id = report_progress.job_id and j.token = report_progress.token and j.status = 'running'
    for update;
    if not found then
        perform rowqueue._raise_lost(report_progress.job_id, report_progress.token);
    end if;

    -- Progress never moves backwards within one attempt, unless the total changes.
    if v_job.progress -> 'current' > v_progress -> 'current' and v_job.progress -> 'total' = v_progress -> 'total' then
        return v_job.go_on;
    end if;

    update rowqueue.jobs_live as j
    set progress = v_progress
    where j.id = report_progress.job_id;
    return v_job.go_on;
end
$$;

revoke all on function rowqueue.report_progress from public;
call rowqueue._grant('execute on function rowqueue.report_progress', 'worker', 'admin');

comment on function rowqueue.report_progress is
'Notes how far a running job is: progress becomes {"current", "total", "message"}. current and total are 0 to 1e15 with up to six decimals, current not above total; total is null while it is not known. The message is cut at 1024 bytes. Does not extend the lease.
Returns: true: go on. false: a cancellation was requested, stop soon.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a number out of range.
State: running -> running.
Role: worker, admin.
Repeat: overwrites. A lower current with the same total is ignored.';

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
    c_running constant text := 'running';
    v_until timestamptz;
    v_ids uuid[];
    v_stopping boolean[];
begin
    perform rowqueue._check_tokens(extend_leases.job_ids, extend_leases.tokens);
    perform rowqueue._check_lease(extend_leases.lease);
    v_until := rowqueue._now() + extend_leases.lease;

    -- By id and in id order, whatever the planner knew: see 5_finish/_finish.sql. Here a variable hides the status from it.
    with asked as materialized (
        select a.id, a.token
        from unnest(extend_leases.job_ids, extend_leases.tokens) as a(id, token)
        order by a.id
    ), extended as (
        update rowqueue.jobs_live as j
        set lease_until = v_until
        from asked as a
        where j.id = any(array[a.id]) and j.token = a.token and j.status = c_running
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

-- sql/4_run/extend_lease.sql
-- The heartbeat of one job.
-- State: running -> running | Locks: one row of jobs_live | Writes: jobs_live (a HOT update)
create or replace function rowqueue.extend_lease(job_id uuid, token bigint, lease interval default '1 minute')
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_outcome text;
begin
    perform rowqueue._check_token(extend_lease.job_id, extend_lease.token);
    select e.outcome
    into v_outcome
    from rowqueue.extend_leases(array[extend_lease.job_id], array[extend_lease.token], extend_lease.lease) as e;
    if v_outcome = 'lost' then
        perform rowqueue._raise_lost(extend_lease.job_id, extend_lease.token);
    end if;
    return v_outcome = 'extended';
end
$$;

revoke all on function rowqueue.extend_lease from public;
call rowqueue._grant('execute on function rowqueue.extend_lease', 'worker', 'admin');

comment on function rowqueue.extend_lease is
'The heartbeat of one job: extends its lease to now + lease (up to a day).
Returns: true: go on. false: a cancellation was requested, stop soon.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a lease out of range.
State: running -> running.
Role: worker, admin.
Repeat: extends again.';

-- sql/5_finish/_check_delay.sql
-- Raises 22023 for a delay that no clock can hold. Null passes.
create or replace function rowqueue._check_delay(argument text, delay interval)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if delay < interval '0' or delay > interval '10 years' then
        perform rowqueue._reject(argument, 'must be between nothing and ten years');
    end if;
end
$$;

revoke all on function rowqueue._check_delay from public;

-- sql/5_finish/_lock_running.sql
-- The running job that a token holds, its row locked; no row when the token does not hold it.
-- State: - | Locks: one row of jobs_live | Writes: nothing
create or replace function rowqueue._lock_running(job_id uuid, token bigint)
returns setof rowqueue.jobs_live
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
rows 1
as $$
begin
    return query
    select j.*
    from rowqueue.jobs_live as j
    where j.id = _lock_running.job_id and j.token = _lock_running.token and j.status = 'running'
    for update;
end
$$;

revoke all on function rowqueue._lock_running from public;

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

-- sql/5_finish/_requeue.sql
-- The one way back from running to pending: failed attempts, releases and lost leases share it. The caller has locked the row.
-- State: running -> pending | Locks: none beyond the caller's | Writes: jobs_live
create or replace function rowqueue._requeue(job rowqueue.jobs_live, delay interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
    v_run_after timestamptz := v_now + _requeue.delay;
begin
    update rowqueue.jobs_live as j
    set status = 'pending',
        -- A new ticket, at the end of its lane. A delayed job draws it when it is due.
        ticket = case when v_run_after <= v_now then rowqueue._draw_ticket() end,
        token = null,
        run_after = v_run_after,
        started_at = null,
        lease_until = null,
        worker = null,
        attempts = job.attempts,
        crashes = job.crashes,
        uncharged_crashes = job.uncharged_crashes,
        last_error = job.last_error
    where j.id = job.id;
    perform rowqueue._wake_worker();
end
$$;

revoke all on function rowqueue._requeue from public;

-- sql/5_finish/_end_attempt.sql
-- Ends an attempt that did not complete its job, whose row the caller has locked. Returns the new status.
-- State: running -> pending | failed | cancelled | Locks: none beyond the caller's | Writes: jobs_live, jobs_finished
create or replace function rowqueue._end_attempt(
    job rowqueue.jobs_live,
    error text,
    retry boolean default true,
    retry_after interval default null
)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error text := rowqueue._clip(coalesce(_end_attempt.error, 'no reason given'), 8192);
begin
    if job.cancel_requested_at is not null then
        perform rowqueue._finish(
            array[job.id], array[job.token], 'running', 'cancelled', errors => array[coalesce(job.cancel_reason, 'cancelled')]);
        return 'cancelled';
    elsif not _end_attempt.retry or job.attempts >= job.max_attempts then
        perform rowqueue._finish(array[job.id], array[job.token], 'running', 'failed', errors => array[v_error]);
        return 'failed';
    end if;

    -- 2 s, 4 s, 8 s, … up to a day. The exponent is bounded first: no max_attempts can overflow it.
    job.last_error := v_error;
    perform rowqueue._requeue(job, coalesce(
        _end_attempt.retry_after,
        least(interval '1 second' * 2 ^ least(job.attempts, 30), interval '1 day')));
    return 'pending';
end
$$;

revoke all on function rowqueue._end_attempt from public;

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
                when exists (
                    select
                    from rowqueue.jobs_finished as f
                    where f.id = a.id and f.completed_at >= rowqueue._id_time(a.id)
                    and f.token = any(a.tokens) and f.status = 'completed'
                ) then 'already'
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
    v_outcome text;
begin
    perform rowqueue._check_token(complete.job_id, complete.token);
    if v_problem is not null then
        raise exception 'result %', v_problem
            using errcode = 'RQ103', hint = 'Store large or odd data elsewhere and return a reference to it.';
    end if;

    select c.outcome
    into v_outcome
    from rowqueue.complete_many(array[complete.job_id], array[complete.token], array[complete.result]) as c;
    if v_outcome = 'lost' then
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

-- sql/5_finish/fail_with_backoff.sql
-- Ends an attempt that failed.
-- State: running -> pending | failed | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.fail_with_backoff(
    job_id uuid,
    token bigint,
    error text,
    retry boolean default true,
    retry_after interval default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job rowqueue.jobs_live;
begin
    perform rowqueue._check_token(fail_with_backoff.job_id, fail_with_backoff.token);
    if fail_with_backoff.retry is null then
        perform rowqueue._reject('retry', 'must not be null');
    end if;
    perform rowqueue._check_delay('retry_after', fail_with_backoff.retry_after);

    select j.* into v_job from rowqueue._lock_running(fail_with_backoff.job_id, fail_with_backoff.token) as j;
    if not found then
        perform rowqueue._raise_lost(fail_with_backoff.job_id, fail_with_backoff.token);
    end if;

    -- It came back: whatever crashed a worker before, it was not this job.
    v_job.uncharged_crashes := 0;
    return rowqueue._end_attempt(
        v_job, fail_with_backoff.error, fail_with_backoff.retry, fail_with_backoff.retry_after);
end
$$;

revoke all on function rowqueue.fail_with_backoff from public;
call rowqueue._grant('execute on function rowqueue.fail_with_backoff', 'worker', 'admin');

comment on function rowqueue.fail_with_backoff is
'Ends an attempt that failed. With attempts left, the job is pending again and runs after 2^attempts seconds (2, 4, 8, …, a day at most), or after retry_after if given. Without, or with retry => false, it is failed. error is cut at 8 KiB; it never makes the call fail.
Returns: the new status: pending, failed, or cancelled when a cancellation had been requested.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a retry_after below nothing or above ten years.
State: running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: RQ101 or RQ102, for the token is spent.';

-- sql/5_finish/release.sql
-- Gives a job back unfinished, without using up an attempt.
-- State: running -> pending | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.release(job_id uuid, token bigint, delay interval default '0')
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job rowqueue.jobs_live;
begin
    perform rowqueue._check_token(release.job_id, release.token);
    if release.delay is null then
        perform rowqueue._reject('delay', 'must not be null');
    end if;
    perform rowqueue._check_delay('delay', release.delay);

    select j.* into v_job from rowqueue._lock_running(release.job_id, release.token) as j;
    if not found then
        perform rowqueue._raise_lost(release.job_id, release.token);
    elsif v_job.cancel_requested_at is not null then
        perform rowqueue._end_attempt(v_job, null);
    else
        v_job.attempts := greatest(v_job.attempts - 1, 0);
        perform rowqueue._requeue(v_job, release.delay);
    end if;
end
$$;

revoke all on function rowqueue.release from public;
call rowqueue._grant('execute on function rowqueue.release', 'worker', 'admin');

comment on function rowqueue.release is
'Gives a running job back without using up an attempt: at a deploy, a shutdown, or when there is no handler for it here. It may be claimed again after delay (up to ten years). When a cancellation had been requested, it is cancelled.
Returns: nothing.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a delay out of range.
State: running -> pending, or cancelled.
Role: worker, admin.
Repeat: RQ101, for the token is spent.';

-- sql/5_finish/cancel.sql
-- Cancels a job: at once while it waits; by asking its worker while it runs.
-- State: pending -> cancelled; running -> running | cancelled | Locks: one row of jobs_live | Writes: jobs_live, jobs_finished
create or replace function rowqueue.cancel(job_id uuid, reason text default null)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_reason text := rowqueue._clip(cancel.reason, 1024);
    v_job record;
begin
    -- A job that is in neither room may have moved from the one to the other between the two looks: look once more.
    for v_look in 1..2 loop
        select j.status, j.token, j.cancel_requested_at, j.cancel_reason
        into v_job
        from rowqueue.jobs_live as j
        where j.id = cancel.job_id
        for update;
        exit when found;

        select f.status
        into v_job
        from rowqueue.jobs_finished as f
        where f.id = cancel.job_id and f.completed_at >= rowqueue._id_time(cancel.job_id);
        if v_job.status = 'cancelled' then
            return 'cancelled';
        elsif found then
            raise exception 'job % is % already', cancel.job_id, v_job.status using errcode = 'RQ102';
        end if;
    end loop;
    if v_job.status is null then
        perform rowqueue._raise_not_found(cancel.job_id);
    end if;

    if v_job.status = 'running' and v_job.cancel_requested_at is null then
        update rowqueue.jobs_live as j
        set cancel_requested_at = rowqueue._now(),
            cancel_reason = v_reason
        where j.id = cancel.job_id;
        return 'running';
    end if;

    perform rowqueue._finish(
        array[cancel.job_id], array[v_job.token], v_job.status, 'cancelled',
        errors => array[coalesce(v_reason, v_job.cancel_reason, 'cancelled')]);
    return 'cancelled';
end
$$;

revoke all on function rowqueue.cancel from public;
call rowqueue._grant('execute on function rowqueue.cancel', 'producer', 'admin');

comment on function rowqueue.cancel is
'Cancels a job. A pending one is cancelled at once. A running one is asked to stop: its worker learns it with the next heartbeat or progress report; the end of the attempt, the end of its lease or a second call of cancel makes it cancelled. A job that completes all the same is completed. reason (cut at 1024 bytes) becomes its error.
Returns: cancelled, or running when its worker was asked.
Raises: RQ102 when it completed or failed; RQ001 when there is none; 22023 for a null id.
State: pending -> cancelled; running -> running, at the second call cancelled.
Role: producer, admin.
Repeat: cancels a running job without waiting for its worker, whose token is dead from then on; returns cancelled for a cancelled one.';

-- sql/5_finish/retry.sql
-- Puts a failed or cancelled job back, with its attempts anew.
-- State: failed | cancelled -> pending | Locks: one row of jobs_finished | Writes: jobs_finished, jobs_live
create or replace function rowqueue.retry(job_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
    v_old record;
    v_status text;
begin
    delete from rowqueue.jobs_finished as f
    where f.id = retry.job_id and f.completed_at >= rowqueue._id_time(retry.job_id) and f.status in ('failed', 'cancelled')
    returning f.* into v_old;

    if not found then
        select j.status
        into v_status
        from rowqueue.get_job(retry.job_id) as j;
        if not found then
            perform rowqueue._raise_not_found(retry.job_id);
        end if;
        raise exception 'job % is %', retry.job_id, v_status
            using errcode = 'RQ102', hint = 'Only a failed or cancelled job can be retried.';
    end if;

    insert into rowqueue.jobs_live (
        id, workspace_id, ticket, created_at, run_after, priority, max_attempts, timeout_ms,
        queue, job_type, unique_key, last_error, payload)
    values (
        v_old.id, v_old.workspace_id, rowqueue._draw_ticket(), v_old.created_at, v_now, v_old.priority, v_old.max_attempts,
        v_old.timeout_ms, v_old.queue, v_old.job_type, v_old.unique_key, v_old.last_error, v_old.payload)
    on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing;
    if not found then
        raise exception 'unique_key of job % is taken by a live job', retry.job_id
            using errcode = 'RQ102', hint = 'Wait for that job, or cancel it.';
    end if;
    perform rowqueue._wake_worker();
end
$$;

revoke all on function rowqueue.retry from public;
call rowqueue._grant('execute on function rowqueue.retry', 'producer', 'admin');

comment on function rowqueue.retry is
'Puts a failed or cancelled job back into its queue, with its attempts anew and due now. It keeps its id, payload and last_error; result, error and progress are cleared.
Returns: nothing.
Raises: RQ102 when it is pending, running or completed, or when a live job has taken its unique_key; RQ001 when there is none; 22023 for a null id.
State: failed or cancelled -> pending.
Role: producer, admin.
Repeat: RQ102, for it is pending then.';

-- sql/6_maintain/_end_crash.sql
-- When an attempt claimed at `started_at` times out.
create or replace function rowqueue._times_out(started_at timestamptz, timeout_ms int)
returns timestamptz
language sql
immutable
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
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._now();
    v_token_floor bigint := (select w.token_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_job rowqueue.jobs_live;
    v_times_out timestamptz;
begin
    if reap_stuck.max_jobs is null or reap_stuck.max_jobs not between 1 and 100000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 100000');
    end if;

    for v_job in
        select j.*
        from rowqueue.jobs_live as j
        where j.status = 'running' and j.token >= v_token_floor
        and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
        order by j.token
        limit reap_stuck.max_jobs
        for update skip locked
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
-- Raises the floors below which nothing is left to find: of tickets (lanes.floor), of due times and of tokens (watermarks).
-- Returns how many lanes were raised. Only for speed: with every floor at its lowest, the queue does the same, more slowly.
-- State: - | Locks: the newest row of watermarks, skipping it when locked | Writes: lanes, watermarks
--
-- Why this never passes a job by. A ticket becomes visible when its transaction commits, which may be long after it was drawn, and
-- after larger ones. So a floor must not rise past a ticket that somebody holds and has not committed. Three rules:
--
-- 1. Who draws a ticket has a transaction id first (_draw_ticket; for due times _write_clock; for tokens the row lock of the claim).
-- 2. Raising takes two transactions. The first reads the sequence's last value S *before it has an id of its own*, then notes S with
--    its id X. Ids are given out in order, so everyone who drew a ticket up to S has an id below X. A later transaction whose snapshot
--    has xmin > X knows that all of those have ended: what they committed it sees, what they rolled back never was. The floor
--    may then be S + 1, or the smallest ticket that is still there.
--    (xmax of a snapshot will not do for X: it is one past the last *completed* id, and ids in progress lie above it.)
-- 3. A floor is only speed: _sweep looks below it, now and then. What it finds is counted, and the count must stay 0.
--
-- The same note serves the other two floors: S for tickets, for tokens, and the clock for due times.
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
    v_foreign boolean;
    v_raised int := 0;
    v_due_floor timestamptz;
    v_token_floor bigint;
begin
    if pg_current_xact_id_if_assigned() is not null then
        return 0;
    end if;

    select w.* into v_note from rowqueue.watermarks as w order by w.id desc limit 1;
    v_snapshot := pg_current_snapshot();
    v_moved := v_ticket > v_note.ticket or v_token > v_note.token;
    -- An id that this server has not given out yet comes from the one that a dump was taken on: the note tells nothing here.
    v_foreign := v_note.xid >= pg_snapshot_xmax(v_snapshot);
    if not v_foreign and (pg_snapshot_xmin(v_snapshot) <= v_note.xid or (v_note.applied and not v_moved)) then
        return 0;
    end if;

    perform from rowqueue.watermarks as w where w.id = v_note.id for update skip locked;
    if not found then
        return 0;
    end if;

    v_due_floor := v_note.due_floor;
    v_token_floor := v_note.token_floor;
    if not v_foreign and not v_note.applied then
        v_raised := rowqueue._raise_lanes(v_note.ticket);

        select least(v_note.seen_at, min(first.run_after))
        into v_due_floor
        from (
            select head.run_after
            from unnest(rowqueue._queues()) as q(queue)
            cross join lateral (
                select j.run_after
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.status = 'pending' and j.ticket is null and j.run_after >= v_note.due_floor
                order by j.run_after
                limit 1
            ) as head
        ) as first;

        select least(v_note.token + 1, min(first.token))
        into v_token_floor
        from (
            select j.token
            from rowqueue.jobs_live as j
            where j.status = 'running' and j.token >= v_note.token_floor
            order by j.token
            limit 1
        ) as first;
    end if;

    insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, token_floor, applied)
    values (
        pg_current_xact_id(), v_ticket, v_token, v_clock,
        greatest(v_due_floor, v_note.due_floor), greatest(v_token_floor, v_note.token_floor), not v_moved and not v_foreign);
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
        select l.queue, l.priority, l.floor, least(_raise_lanes.ticket + 1, first.ticket) as new_floor
        from rowqueue._lanes_of(rowqueue._queues()) as l
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.floor
            order by j.ticket
            limit 1
        ) as first on true
        where l.floor <= _raise_lanes.ticket
        order by l.floor
        limit 200
    loop
        if v_lane.new_floor > v_lane.floor then
            insert into rowqueue.lanes (queue, priority, floor)
            values (v_lane.queue, v_lane.priority, v_lane.new_floor);
            delete from rowqueue.lanes as l
            where l.queue = v_lane.queue and l.priority = v_lane.priority and l.floor in (0, v_lane.floor);
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
            where j.ticket is null and j.status = 'pending' and j.queue > v_queue and j.queue < v_lane.queue
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
        where j.ticket is null and j.status = 'pending' and j.queue > v_queue
        order by j.queue
        limit 1
    );
end
$$;

revoke all on function rowqueue._stray_lanes from public;

-- sql/6_maintain/_sweep.sql
-- Looks where nothing should be: below the floors, and in lanes that do not exist. Makes what it finds claimable, counts it in
-- the sequence rowqueue.below_floor, and returns how many. A DBA's UPDATE of queue, priority or ticket can put a job there; the
-- functions cannot.
-- State: pending -> pending | Locks: those rows of jobs_live, skipping locked ones | Writes: jobs_live, lanes, watermarks
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
    v_token bigint;
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
                order by j.ticket
                limit 100
                for update skip locked
            ) as low
        )
        update rowqueue.jobs_live as j
        set ticket = rowqueue._draw_ticket()
        from lost as l
        where j.ctid = l.ctid;
        get diagnostics v_count = row_count;
        v_found := v_found + v_count;

        with lost as materialized (
            select low.ctid
            from unnest(v_queues) as q(queue)
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.status = 'pending' and j.ticket is null
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

        select min(j.token)
        into v_token
        from rowqueue.jobs_live as j
        where j.status = 'running'
        and j.token >= v_note.token_floor - v_far and j.token < v_note.token_floor - v_near;
        perform from rowqueue.watermarks as w where v_token is not null and w.id = v_note.id for update skip locked;
        if found then
            insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, token_floor, applied)
            values (v_note.xid, v_note.ticket, v_note.token, v_note.seen_at, v_note.due_floor, v_token, v_note.applied);
            delete from rowqueue.watermarks as w where w.id = v_note.id;
            v_found := v_found + 1;
        end if;

        v_near := v_far;
        v_far := v_far * 2;
        exit when v_near > greatest(v_note.ticket, c_ten_years) or clock_timestamp() > v_ends;
    end loop;

    perform nextval('rowqueue.below_floor') from generate_series(1, v_found);
    return v_found;
end
$$;

revoke all on function rowqueue._sweep from public;

-- sql/6_maintain/_make_partitions.sql
-- Makes the partitions of jobs_finished for this month and the next three, where they are missing. Returns how many.
-- State: - | Locks: jobs_finished (share update exclusive), jobs_finished_default (exclusive), 100 ms at most | Writes: the catalogue
--
-- A table is made on its own and attached: create table … partition of would lock all of jobs_finished. Whoever holds the
-- default partition (a dump, a report) makes this give up until the next tick: there are months of time.
create or replace function rowqueue._make_partitions()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
    v_month timestamptz;
    v_name text;
    v_made int := 0;
begin
    for v_month in
        select date_trunc('month', rowqueue._now()) + n * interval '1 month' from generate_series(0, 3) as n
    loop
        v_name := 'jobs_finished_' || to_char(v_month, 'YYYY_MM');
        continue when to_regclass('rowqueue.' || v_name) is not null;
        begin
            -- Nobody ticked for months, and jobs of this one went into the default partition. There they stay: purge_finished
            -- finds them there too.
            continue when exists (
                select
                from rowqueue.jobs_finished_default as f
                where f.completed_at >= v_month and f.completed_at < v_month + interval '1 month'
            );
            execute format(
                'create table rowqueue.%I (like rowqueue.jobs_finished including defaults including constraints, '
                'constraint %I primary key (id)) with (fillfactor = 100)', v_name, v_name || '_pkey');
            execute format('revoke all on table rowqueue.%I from public', v_name);
            execute format(
                'comment on table rowqueue.%I is %L', v_name,
                'Jobs that finished in ' || to_char(v_month, 'YYYY-MM') || ' (UTC): a partition of rowqueue.jobs_finished.');
            execute format(
                'alter table rowqueue.jobs_finished attach partition rowqueue.%I for values from (%L) to (%L)',
                v_name, v_month, v_month + interval '1 month');
            v_made := v_made + 1;
        -- Another tick is making it, or a reader is in the way: next time.
        exception when lock_not_available or duplicate_table or unique_violation or check_violation then
            exit;
        end;
    end loop;
    return v_made;
end
$$;

revoke all on function rowqueue._make_partitions from public;

do $$ begin perform rowqueue._make_partitions(); end $$;

-- sql/6_maintain/tick.sql
-- Everything periodic, in one call.
-- State: pending -> pending; running -> pending | failed | cancelled | Locks: as its parts, none waits | Writes: as its parts
create or replace function rowqueue.tick()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now_ms bigint := rowqueue._epoch_ms(rowqueue._now());
    v_floors int;
    v_promoted int := 0;
    v_reaped int;
    v_partitions int;
    v_found int := 0;
    v_count int;
begin
    -- First of all, for it must begin without a transaction id.
    v_floors := rowqueue._raise_floors();

    for v_round in 1..10 loop
        v_count := rowqueue._promote(rowqueue._queues(), 1000);
        v_promoted := v_promoted + v_count;
        exit when v_count < 1000;
    end loop;
    if v_promoted > 0 then
        perform rowqueue._wake_worker();
    end if;

    select count(*) into v_reaped from rowqueue.reap_stuck();
    v_partitions := rowqueue._make_partitions();

    if v_now_ms - coalesce(pg_sequence_last_value('rowqueue.swept_at'::regclass), 0) not between 0 and 4999 then
        v_found := rowqueue._sweep();
        if pg_current_xact_id_if_assigned() is not null then
            perform setval('rowqueue.swept_at', v_now_ms);
        end if;
    end if;

    return jsonb_build_object(
        'promoted', v_promoted, 'reaped', v_reaped, 'floors', v_floors, 'below_floor', v_found, 'partitions', v_partitions);
end
$$;

revoke all on function rowqueue.tick from public;
call rowqueue._grant('execute on function rowqueue.tick', 'worker', 'admin');

comment on function rowqueue.tick is
'Everything periodic in one call: raises the floors, gives due jobs their place, reaps stuck jobs, makes the partitions of the months to come, and every five seconds looks below the floors. Call it each second or so, in a transaction of its own: a worker, pg_cron, cron or a DBA may, and any number of them.
Returns: what it did, as counts: promoted, reaped, floors (lanes raised), below_floor (must be 0), partitions.
Raises: 40001 under REPEATABLE READ and SERIALIZABLE: use READ COMMITTED.
State: pending -> pending; running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: does what has become due since. Writes nothing, and uses no transaction id, when nothing has. In a transaction that has written already it leaves the floors alone.';

-- sql/6_maintain/purge_finished.sql
-- Removes old finished jobs.
-- State: completed | failed | cancelled -> gone | Locks: jobs_finished 100 ms at most for a drop; else the rows | Writes: jobs_finished
create or replace function rowqueue.purge_finished(older_than interval default '30 days', max_jobs int default 10000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
    v_before timestamptz;
    v_month record;
    v_count bigint;
    v_purged bigint := 0;
begin
    if purge_finished.older_than is null or purge_finished.older_than not between interval '0' and interval '1000 years' then
        perform rowqueue._reject('older_than', 'must be between nothing and 1000 years');
    elsif purge_finished.max_jobs is null or purge_finished.max_jobs not between 1 and 10000000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 10000000');
    end if;
    v_before := rowqueue._now() - purge_finished.older_than;

    for v_month in
        select c.relname as name
        from pg_inherits as i
        join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'rowqueue.jobs_finished'::regclass
        and c.relname ~ '^jobs_finished_\d{4}_\d{2}$'
        and to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= v_before
        order by c.relname
    loop
        begin
            execute format('select count(*) from rowqueue.%I', v_month.name) into v_count;
            execute format('drop table rowqueue.%I', v_month.name);
            v_purged := v_purged + v_count;
        exception when lock_not_available then
            -- Somebody reads it. Its rows are old all the same: they go below.
            null;
        end;
    end loop;

    begin
        with old as materialized (
            select f.id, f.completed_at
            from rowqueue.jobs_finished as f
            where f.completed_at < v_before
            limit purge_finished.max_jobs
            for update skip locked
        )
        delete from rowqueue.jobs_finished as f
        using old as o
        where f.id = o.id and f.completed_at = o.completed_at;
        get diagnostics v_count = row_count;
    exception when lock_not_available then
        -- Another purge has dropped a month and not committed.
        v_count := 0;
    end;
    return v_purged + v_count;
end
$$;

revoke all on function rowqueue.purge_finished from public;
call rowqueue._grant('execute on function rowqueue.purge_finished', 'admin');

comment on function rowqueue.purge_finished is
'Removes jobs that finished longer than older_than ago (up to 1000 years). Months that are old as a whole are dropped, whatever max_jobs says; where somebody reads one, and for the month that is partly old, up to max_jobs (1 to 10000000) rows are deleted. Waits 100 ms at most for a lock. Call it in a transaction of its own: after a drop, other sessions cannot finish jobs until it ends.
Returns: how many jobs were removed.
Raises: 22023 for an argument out of range.
State: completed, failed or cancelled -> gone.
Role: admin.
Repeat: removes the next ones; call it until it returns 0.';

-- sql/6_maintain/set_notify.sql
-- The switch for notifications.
-- State: - | Locks: none | Writes: the sequence rowqueue.idle_mark
create or replace function rowqueue.set_notify(enabled boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if enabled is null then
        perform rowqueue._reject('enabled', 'must be true or false');
    end if;
    perform setval('rowqueue.idle_mark', case when enabled then 1 else 3 end);
end
$$;

revoke all on function rowqueue.set_notify from public;
call rowqueue._grant('execute on function rowqueue.set_notify', 'admin');

comment on function rowqueue.set_notify is
'Switches notifications on or off for all. Without them, workers find jobs by polling only. Takes effect at once, even if the transaction rolls back.
Returns: nothing.
Raises: 22023 for null.
State: changes no job.
Role: admin.
Repeat: does no harm.';

-- sql/6_maintain/grant_roles.sql
-- Gives the four roles what the installation could not, because they did not exist yet.
-- State: - | Locks: none | Writes: the access lists
create or replace function rowqueue.grant_roles()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_grant record;
begin
    for v_grant in
        select g.privilege, g.role
        from rowqueue.grants as g
        join pg_roles as r on r.rolname = g.role
        order by g.role, g.privilege
    loop
        execute format('grant %s to %I', v_grant.privilege, v_grant.role);
    end loop;
end
$$;

revoke all on function rowqueue.grant_roles from public;
call rowqueue._grant('execute on function rowqueue.grant_roles', 'admin');

comment on function rowqueue.grant_roles is
'Grants the roles rowqueue_producer, rowqueue_worker, rowqueue_observer and rowqueue_admin what each may do (see rowqueue.grants). Needed once when a superuser made the roles after the installation.
Returns: nothing.
Raises: nothing.
State: changes no job.
Role: admin.
Repeat: does no harm. Roles that do not exist are passed over.';

-- sql/7_observe/job.sql
-- What everyone may see of a job, in a reader's order. New columns go last.
create or replace view rowqueue.job as
select
    j.id, j.workspace_id, j.job_type, j.status, j.priority, j.payload, j.progress, j.result, j.error, j.last_error,
    j.attempts, j.max_attempts, j.created_at, j.started_at, j.completed_at, j.run_after, j.timeout_ms,
    j.queue, j.unique_key, j.worker, j.lease_until, j.cancel_requested_at, j.crashes
from rowqueue.jobs as j;

revoke all on table rowqueue.job from public;
call rowqueue._grant('select on table rowqueue.job', 'observer', 'admin');

comment on view rowqueue.job is 'Every job, in every state, as get_job and list_jobs return it.';
do $$
begin
    -- The columns mean what they mean in the table.
    execute (
        select string_agg(
            format('comment on column rowqueue.job.%I is %L', a.attname, col_description('rowqueue.jobs'::regclass, t.attnum)), ';')
        from pg_attribute as a
        join pg_attribute as t on t.attrelid = 'rowqueue.jobs'::regclass and t.attname = a.attname
        where a.attrelid = 'rowqueue.job'::regclass and a.attnum > 0 and not a.attisdropped
    );
end
$$;

-- sql/7_observe/get_job.sql
-- One job, in whatever state.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.get_job(job_id uuid)
returns setof rowqueue.job
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
rows 1
as $$
begin
    if get_job.job_id is null then
        perform rowqueue._reject('job_id', 'must not be null');
    end if;
    return query
    select j.*
    from rowqueue.job as j
    where j.id = get_job.job_id and j.status in ('pending', 'running')
    union all
    select j.*
    from rowqueue.job as j
    where j.id = get_job.job_id and j.status in ('completed', 'failed', 'cancelled')
    and j.completed_at >= rowqueue._id_time(get_job.job_id);
end
$$;

revoke all on function rowqueue.get_job from public;
call rowqueue._grant('execute on function rowqueue.get_job', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.get_job is
'One job with its status, progress, result and error, in whatever state.
Returns: one row; none when there is no such job.
Raises: 22023 for null.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';

-- sql/7_observe/list_jobs.sql
-- The latest jobs, a page at a time.
-- State: - | Locks: none | Writes: nothing
--
-- Planned anew at each call, so that arguments left out drop out of the plan, and every room is read by an index, backwards.
create or replace function rowqueue.list_jobs(
    workspace_id uuid default null,
    status text default null,
    job_type text default null,
    max_jobs int default 20,
    before uuid default null
)
returns setof rowqueue.job
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
    if list_jobs.status not in ('pending', 'running', 'completed', 'failed', 'cancelled') then
        perform rowqueue._reject('status', 'must be pending, running, completed, failed or cancelled');
    elsif list_jobs.max_jobs is null or list_jobs.max_jobs not between 1 and 1000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 1000', 'Page on with before.');
    end if;
    return query
    select j.*
    from rowqueue.job as j
    where (list_jobs.workspace_id is null or j.workspace_id = list_jobs.workspace_id)
    and (list_jobs.status is null or j.status = list_jobs.status)
    and (list_jobs.job_type is null or j.job_type = list_jobs.job_type)
    and (list_jobs.before is null or j.id < list_jobs.before)
    order by j.id desc
    limit list_jobs.max_jobs;
end
$$;

revoke all on function rowqueue.list_jobs from public;
call rowqueue._grant('execute on function rowqueue.list_jobs', 'producer', 'observer', 'admin');

comment on function rowqueue.list_jobs is
'The latest jobs, newest first, up to max_jobs (1 to 1000): of one workspace, one status, one job type, or of all where these are null. before is the last id of the page before.
Returns: the jobs.
Raises: 22023 for an unknown status or max_jobs out of range.
State: changes no job.
Role: producer, observer, admin.
Repeat: reads again.';

-- sql/7_observe/health.sql
-- How each queue is.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.health()
returns setof rowqueue.queue_health
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._now();
begin
    return query
    with live as (
        select
            j.queue,
            count(*) filter (where j.status = 'pending') as pending,
            count(*) filter (where j.status = 'pending' and j.run_after <= v_now) as due,
            count(*) filter (where j.status = 'running') as running,
            count(*) filter (
                where j.status = 'running'
                and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
            ) as stuck,
            v_now - min(j.run_after) filter (where j.status = 'pending' and j.run_after <= v_now) as oldest_due_age
        from rowqueue.jobs_live as j
        group by j.queue
    ), ended as (
        select
            f.queue,
            count(*) filter (where f.status = 'failed') as failed,
            count(*) as all_ended
        from rowqueue.jobs_finished as f
        where f.completed_at > v_now - interval '1 hour' and f.status in ('completed', 'failed')
        group by f.queue
    ), known as (
        select u.queue from unnest(rowqueue._queues()) as u(queue)
        union
        select l.queue from live as l
    )
    select
        k.queue,
        coalesce(l.pending, 0),
        coalesce(l.due, 0),
        coalesce(l.running, 0),
        coalesce(l.stuck, 0),
        coalesce(e.failed, 0),
        round(e.failed::numeric / e.all_ended, 4),
        l.oldest_due_age
    from known as k
    left join live as l on l.queue = k.queue
    left join ended as e on e.queue = k.queue
    order by k.queue;
end
$$;

revoke all on function rowqueue.health from public;
call rowqueue._grant('execute on function rowqueue.health', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.health is
'How each queue is: what waits, what is due, what runs, what is stuck (lease or timeout ran out), what failed in the last hour and its share of all that ended, and how long the oldest due job has waited. Counts rows: it reads the live jobs and those finished in the last hour.
Returns: a row for each queue that has ever been used.
Raises: nothing.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';

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
    return '0001';
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
