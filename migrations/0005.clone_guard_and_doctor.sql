-- depends: 0004.hot_claim
--
-- By hand, below: what turns the tables as they were into those of sql/. It must
-- survive being run again, and must not hold a long lock on a big table.
set local lock_timeout = '5s';

-- Copies of sql/ as it stood, written by `make freeze`.

-- sql/0_base/grants.sql
-- Who may do what: each object's own file says it with call rowqueue._grant(…), next to its revoke.
-- Writes: rowqueue.grants, so that grant_roles() can repeat the grants once the roles exist.
create table if not exists rowqueue.grants (
    privilege text not null,
    role text not null,
    constraint grants_pkey primary key (privilege, role)
);

revoke all on table rowqueue.grants from public;

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

revoke all on table rowqueue.error_codes from public;

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
    ('RQ202', 'over_quota', 'Reserved: the workspace is over its quota.'),
    ('RQ203', 'identity_unconfirmed', 'This database is a copy of the one in which jobs ran. Nothing is claimed here until an admin calls confirm_identity().')
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
        return timestamptz '-infinity';
    end if;
    return to_timestamp(('x' || lpad(left(v_hex, 12), 16, '0'))::bit(64)::bigint / 1000.0) - interval '1 day';
end
$$;

revoke all on function rowqueue._id_time from public;

-- sql/0_base/json.sql
-- What is wrong with a document's numbers or with its length as text, or null. Twelve bytes may hold a number of 131,000 digits
-- (1e131071) or a zero with 16,000 decimals (0e-16383), so the document is written out as a whole only after its numbers were,
-- 64 at a time, up to the first that says enough. A number beyond a double has 300 digits: only where they are does it compare.
create or replace function rowqueue._text_problem(doc jsonb)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_most constant int := 1048576;
    v_numbers jsonb := jsonb_path_query_array(_text_problem.doc, 'strict $.** ? (@.type() == "number")');
    v_some jsonb;
    v_text text;
    v_length int := 0;
begin
    for v_first in 0..jsonb_array_length(v_numbers) - 1 by 64 loop
        v_some := jsonb_path_query_array(
            v_numbers, '$[$first to $last]', jsonb_build_object('first', v_first, 'last', v_first + 63));
        v_text := v_some::text;
        if v_text ~ '[0-9]{255}'
            and v_some @? '$[*] ? (@ > 1e308 || @ < -1e308 || (@ != 0 && @ < 1e-307 && @ > -1e-307))' then
            return 'has a number beyond the range of a double (1e-307 to 1e308)';
        end if;
        v_length := v_length + octet_length(v_text);
        exit when v_length > c_most;
    end loop;
    if v_length > c_most or octet_length(_text_problem.doc::text) > c_most then
        return 'is larger than 1 MiB as text';
    end if;
    return null;
end
$$;

revoke all on function rowqueue._text_problem from public;

-- Why a document cannot be stored and read back by every client, or null when it can. What accepts it must be able to
-- hand it out again: a job that a worker cannot decode would be a job that nobody can run.
-- The checks go from cheap to dear, and most documents pass at the first: 64 levels take 512 bytes, and a number beyond a double
-- takes more than 300 characters. No SET clause, so that the planner inlines it.
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
        when $1 is not null then rowqueue._text_problem($1)
    end
$$;

revoke all on function rowqueue._json_problem from public;

-- The first `bytes` bytes of a text, cut between characters: left() counts characters, and an é takes two bytes.
create or replace function rowqueue._clip(words text, bytes int)
returns text
language plpgsql
immutable
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

-- sql/0_base/setting.sql
-- A setting of the server, as this session has it. No SET clause, so that the planner inlines it.
create or replace function rowqueue._setting(name text)
returns text
language sql
stable
security invoker
as $$ select pg_catalog.current_setting($1, true) $$;

revoke all on function rowqueue._setting from public;

-- sql/1_tables/identity.sql
-- What database this is, so that a copy of it is told from the original. A copy has the same jobs: were its workers to run them, mails
-- would be sent twice, and from a staging server to real people. So claims are refused in a copy until confirm_identity().
--
-- What a copy cannot carry along tells: a dump that was restored has tables with other oids, on another server there is another
-- system identifier, create database … template gives another database oid. A promoted standby has all three in common with
-- its primary, and only the timeline tells that it was promoted. A copy of the whole server (pg_basebackup, a snapshot of
-- the disk) is the same in this: which is which, only its administrator knows, and says by cluster_name (see `servers`).
--
-- The first tick() after the first claim notes it. So a database in which nothing was ever claimed may be a template of others.
create table if not exists rowqueue.identity (
    epoch uuid not null default gen_random_uuid(),
    noted_at timestamptz not null,
    system_identifier bigint,
    timeline bigint,
    database_oid oid not null,
    table_oid oid not null,
    servers text[]
);

revoke all on table rowqueue.identity from public;
call rowqueue._grant('select on table rowqueue.identity', 'admin');

comment on table rowqueue.identity is
'Which database this was when it was first worked in, or last confirmed. One row, none before. Every row has to be true, or claims are refused.';
comment on column rowqueue.identity.epoch is 'Drawn anew whenever the identity is confirmed: two databases of one origin differ in it.';
comment on column rowqueue.identity.noted_at is 'When that was.';
comment on column rowqueue.identity.system_identifier is 'The server, with all its standbys. Null where the server does not tell.';
comment on column rowqueue.identity.timeline is 'How often the server was promoted, or recovered to a point in time. Null where the server does not tell.';
comment on column rowqueue.identity.database_oid is 'The database within the server.';
comment on column rowqueue.identity.table_oid is 'This table: one that was restored from a dump has another.';
comment on column rowqueue.identity.servers is 'The cluster_name of the servers that may run the jobs. Null: any with this system identifier.';

-- Which database this is now. What a hosted server does not tell is null.
create or replace function rowqueue._here()
returns rowqueue.identity
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_here rowqueue.identity;
begin
    v_here.database_oid := (select d.oid from pg_database as d where d.datname = current_database());
    v_here.table_oid := 'rowqueue.identity'::regclass;
    begin
        v_here.system_identifier := (select s.system_identifier from pg_control_system() as s);
        -- The control file learns of a promotion only at the next checkpoint; the name of the log's file tells at once.
        if not pg_is_in_recovery() then
            v_here.timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
        end if;
    exception when insufficient_privilege or undefined_function or feature_not_supported then
        null;
    end;
    return v_here;
end
$$;

revoke all on function rowqueue._here from public;

-- Why this may not be the database that it was; null when it is, or was never noted.
create or replace function rowqueue._identity_doubt()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_here rowqueue.identity := rowqueue._here();
    v_server text := rowqueue._setting('cluster_name');
begin
    return (
        select case
            when i.system_identifier <> v_here.system_identifier
                then format('system identifier %s became %s', i.system_identifier, v_here.system_identifier)
            when i.database_oid <> v_here.database_oid
                then format('database oid %s became %s', i.database_oid, v_here.database_oid)
            when i.table_oid <> v_here.table_oid then 'its tables were restored from a dump'
            when v_server <> all (i.servers) then format('cluster_name is %L, which is none of %s', v_server, i.servers)
        end as doubt
        from rowqueue.identity as i
        order by doubt nulls last
        limit 1
    );
end
$$;

revoke all on function rowqueue._identity_doubt from public;

-- Moves the tokens beyond all that were ever given out, also in a time that is lost to this database: microseconds since 1970,
-- which no number of claims can overtake. The caller holds a lock, for the sequence must not be moved back.
create or replace function rowqueue._move_tokens_on()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform setval('rowqueue.tokens', greatest(
        coalesce(pg_sequence_last_value('rowqueue.tokens'::regclass), 0) + 1,
        rowqueue._epoch_ms(rowqueue._now()) * 1000));
end
$$;

revoke all on function rowqueue._move_tokens_on from public;

-- Notes the identity, if jobs were claimed here and it was not noted. Two callers at once each write the same: nobody waits.
create or replace function rowqueue._note_identity()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_here rowqueue.identity;
begin
    if pg_sequence_last_value('rowqueue.tokens'::regclass) is null or exists (select from rowqueue.identity) then
        return;
    end if;
    v_here := rowqueue._here();
    insert into rowqueue.identity (noted_at, system_identifier, timeline, database_oid, table_oid)
    values (rowqueue._now(), v_here.system_identifier, v_here.timeline, v_here.database_oid, v_here.table_oid);
end
$$;

revoke all on function rowqueue._note_identity from public;

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
        -- Asked once, for the answer may take a while; null where nothing is wrong.
        else pg_catalog.string_to_array(
            'payload|' || rowqueue._json_problem($2) || '|Keep large or odd data elsewhere, and a reference to it here.|RQ103', '|')
    end
$$;

revoke all on function rowqueue._job_problem from public;

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
    v_now_us bigint := (extract(epoch from v_now) * 1000000)::bigint;
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
    v_now_us bigint := (extract(epoch from v_now) * 1000000)::bigint;
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
        '{job_type,payload,workspace_id,priority,run_after,max_attempts,timeout_ms,unique_key,queue}'::text[];
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

-- sql/3_claim/_check_identity.sql
-- Whether this session was told already that it may claim here. It remembers in a setting of its own of which table it was told so: a
-- restore replaces the table under the sessions' feet. No SET clause, so that the planner inlines it: each claim asks this.
create or replace function rowqueue._identity_is_checked()
returns boolean
language sql
stable
security invoker
as $$
    select coalesce(
        pg_catalog.current_setting('rowqueue.identity', true)
        = 'rowqueue.identity'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.text,
        false)
$$;

revoke all on function rowqueue._identity_is_checked from public;

-- Refuses to hand out jobs in a copy of the database: see 1_tables/identity.sql.
-- State: - | Locks: none; after a promotion the row of identity | Writes: after a promotion identity and the sequence of tokens
--
-- A session asks once. On a standby it does not ask, but once that is promoted it does.
create or replace function rowqueue._check_identity()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_doubt text;
begin
    if rowqueue._identity_is_checked() or pg_is_in_recovery() then
        return;
    end if;

    v_doubt := rowqueue._identity_doubt();
    if v_doubt is not null then
        raise exception 'this database is a copy of the one in which jobs ran: %', v_doubt using
            errcode = 'RQ203',
            detail = 'In a copy, jobs that run elsewhere, or have run since, would run once more. Until an admin confirms that they are to run here, nothing is handed out.',
            hint = 'When no other database works on these jobs: select rowqueue.confirm_identity();';
    end if;

    -- Whoever comes first after a promotion, or a recovery to a point in time, moves the tokens on before it draws one: those that
    -- were given out in the last moments of the old server, and are unknown to this one, must not be given out again.
    if (select min(i.timeline) from rowqueue.identity as i) < (rowqueue._here()).timeline then
        perform from rowqueue.identity as i for update;
        if (select min(i.timeline) from rowqueue.identity as i) < (rowqueue._here()).timeline then
            perform rowqueue._move_tokens_on();
            update rowqueue.identity as i set timeline = (rowqueue._here()).timeline;
        end if;
    end if;
    perform set_config('rowqueue.identity', 'rowqueue.identity'::regclass::oid::text, false);
end
$$;

revoke all on function rowqueue._check_identity from public;

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
    if not rowqueue._identity_is_checked() then
        perform rowqueue._check_identity();
    end if;

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
Raises: 22023 for an argument out of range; RQ203 in a copy of the database that nobody has confirmed (see confirm_identity); 40001 under REPEATABLE READ and SERIALIZABLE when another claim was quicker: use READ COMMITTED.
State: pending -> running.
Role: worker, admin.
Repeat: claims other jobs. Jobs of a call that was rolled back are free again.';

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
    v_problems text[];
    v_asked record;
begin
    perform rowqueue._check_tokens(complete_many.job_ids, complete_many.tokens);
    if array_ndims(complete_many.results) > 1
        or cardinality(complete_many.results) not in (0, cardinality(complete_many.job_ids)) then
        perform rowqueue._reject('results', 'must be an array with one result for each id, or null');
    end if;

    -- A result that cannot be stored fails its own job, and no other. Then all are locked first, in their order: failing some
    -- before the others are locked would lock crosswise to a heartbeat.
    v_problems := array(select rowqueue._json_problem(r.result) from unnest(complete_many.results) as r(result));
    if array_remove(v_problems, null) <> '{}' then
        for v_asked in
            select a.id, a.token
            from unnest(complete_many.job_ids, complete_many.tokens) as a(id, token)
            order by a.id
        loop
            perform rowqueue._lock_running(v_asked.id, v_asked.token);
        end loop;
        perform rowqueue._end_attempt(j, 'result cannot be stored: it ' || a.problem)
        from unnest(complete_many.job_ids, complete_many.tokens, v_problems) as a(id, token, problem)
        cross join lateral rowqueue._lock_running(a.id, a.token) as j
        where a.problem is not null;
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
    v_ended text;
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
        into v_ended
        from rowqueue.jobs_finished as f
        where f.id = cancel.job_id and f.completed_at >= rowqueue._id_time(cancel.job_id);
        if v_ended = 'cancelled' then
            return 'cancelled';
        elsif found then
            raise exception 'job % is % already', cancel.job_id, v_ended using errcode = 'RQ102';
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
    loop
        delete from rowqueue.jobs_finished as f
        where f.id = retry.job_id and f.completed_at >= rowqueue._id_time(retry.job_id) and f.status in ('failed', 'cancelled')
        returning f.* into v_old;
        exit when found;
        select j.status
        into v_status
        from rowqueue.get_job(retry.job_id) as j;
        if not found then
            perform rowqueue._raise_not_found(retry.job_id);
        elsif v_status not in ('failed', 'cancelled') then
            raise exception 'job % is %', retry.job_id, v_status
                using errcode = 'RQ102', hint = 'Only a failed or cancelled job can be retried.';
        end if;
        -- This call has waited for a transaction that put the job back and had it fail again: look once more.
    end loop;
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
    v_lane record;
    v_stuck tid[] := '{}';
    v_job rowqueue.jobs_live;
    v_times_out timestamptz;
begin
    if reap_stuck.max_jobs is null or reap_stuck.max_jobs not between 1 and 100000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 100000');
    end if;

    for v_lane in select l.queue, l.priority, l.live_floor, l.ceiling from rowqueue._lanes_of(rowqueue._queues()) as l loop
        begin
            v_stuck := v_stuck || array(
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = v_lane.queue and j.priority = v_lane.priority
                and j.ticket >= v_lane.live_floor and j.ticket < v_lane.ceiling and j.status = 'running'
                and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
                order by j.ticket);
        exception when data_corrupted or index_corrupted then
            -- The leases of the other lanes must end all the same.
            raise warning 'priority % of queue % cannot be read: %', v_lane.priority, v_lane.queue, sqlerrm;
        end;
    end loop;

    for v_job in
        select j.*
        from unnest(v_stuck) as s(ctid)
        join rowqueue.jobs_live as j on j.ctid = s.ctid
        where j.status = 'running'
        and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
        order by j.token
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

-- sql/6_maintain/_any_running.sql
-- Whether any job runs: then somebody should tick often, lest its worker dies unseen.
create or replace function rowqueue._any_running()
returns boolean
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
begin
    return exists (
        select
        from rowqueue._lanes_of(rowqueue._queues()) as l
        cross join lateral (
            select
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority
            and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
            limit 1
        ) as running
    );
exception when data_corrupted or index_corrupted then
    return true;
end
$$;

revoke all on function rowqueue._any_running from public;

-- sql/6_maintain/_stray_lanes.sql
-- Lanes that have jobs and do not exist: in claim order, and in due order. Only the gaps between the lanes that do exist are read, and of
-- each the first entry, so that it costs a few probes a lane, whatever the lanes hold. A gap may have more: they are found next time.
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
        select gap.queue_between, gap.priority_between
        from rowqueue._first_between(v_queue, v_priority, v_lane.queue, v_lane.priority) as gap;
        v_queue := v_lane.queue;
        v_priority := v_lane.priority;
    end loop;

    -- Beyond the last one there is no upper end.
    return query
    select gap.queue_between, gap.priority_between
    from rowqueue._first_between(v_queue, v_priority, null, null) as gap;
end
$$;

revoke all on function rowqueue._stray_lanes from public;

-- The first jobs that lie between two lanes: below the first one in its queue, in the queues between, above the second one in its queue.
-- Each is sought with a lower end alone, and then seen to lie within. A row (queue, priority) for an upper end would not do: an
-- index scan does not stop where only its second member tells that it is over, and would walk all that the lanes hold.
create or replace function rowqueue._first_between(queue text, priority int, next_queue text, next_priority int)
returns table (queue_between text, priority_between int)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
    return query
    select distinct first.queue, first.priority
    from (
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue = _first_between.queue and j.priority > _first_between.priority
            order by j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue > _first_between.queue
            order by j.queue, j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue = _first_between.next_queue
            and _first_between.next_queue <> _first_between.queue
            order by j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is null and j.queue > _first_between.queue
            order by j.queue
            limit 1
        )
    ) as first
    where _first_between.next_queue is null
    or (first.queue, first.priority) < (_first_between.next_queue, _first_between.next_priority);
end
$$;

revoke all on function rowqueue._first_between from public;

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
    exception when data_corrupted or index_corrupted then
        -- A damaged page stops its own lane; leases must end all the same.
        raise warning 'floors and due jobs cannot be read: %', sqlerrm;
        v_floors := 0;
        v_promoted := 0;
    end;

    select count(*) into v_reaped from rowqueue.reap_stuck();
    v_partitions := rowqueue._make_partitions();

    if v_now_ms - coalesce(pg_sequence_last_value('rowqueue.swept_at'::regclass), 0) not between 0 and 4999 then
        begin
            v_found := rowqueue._sweep();
        exception when data_corrupted or index_corrupted then
            raise warning 'what lies below the floors cannot be read: %', sqlerrm;
        end;
        if pg_current_xact_id_if_assigned() is not null then
            perform setval('rowqueue.swept_at', v_now_ms);
        end if;
    end if;

    -- Only when something was written anyway: an idle tick leaves no trace.
    if pg_current_xact_id_if_assigned() is not null then
        perform rowqueue._note_identity();
    end if;

    return jsonb_build_object(
        'promoted', v_promoted, 'reaped', v_reaped, 'floors', v_floors, 'below_floor', v_found, 'partitions', v_partitions,
        'running', rowqueue._any_running());
end
$$;

revoke all on function rowqueue.tick from public;
call rowqueue._grant('execute on function rowqueue.tick', 'worker', 'admin');

comment on function rowqueue.tick is
'Everything periodic in one call: raises the floors, gives due jobs their place, reaps stuck jobs, makes the partitions of the months to come, and every five seconds looks below the floors. Call it each second or so, in a transaction of its own: a worker, pg_cron, cron or a DBA may, and any number of them.
Returns: what it did, as counts: promoted, reaped, floors (lanes raised), below_floor (must be 0), partitions; and running: whether any job runs, so that the next call should follow within a second.
Raises: 40001 under REPEATABLE READ and SERIALIZABLE: use READ COMMITTED.
State: pending -> pending; running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: does what has become due since. Writes nothing, and uses no transaction id, when nothing has. In a transaction that has written already it leaves the floors alone.';

-- sql/6_maintain/_forget_floors.sql
-- Puts all floors back to where nothing is below them: what a copy has to do, for they rest on the transaction ids and the clock of the
-- original. They rise again with the next ticks.
-- State: - | Locks: none | Writes: lanes, watermarks
create or replace function rowqueue._forget_floors()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    with old as (
        delete from rowqueue.lanes as l
        returning l.queue, l.priority
    )
    insert into rowqueue.lanes (queue, priority)
    select distinct o.queue, o.priority from old as o;

    delete from rowqueue.watermarks;
    insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
    values (pg_current_xact_id(), 0, 0, rowqueue._now(), '-infinity', true);
end
$$;

revoke all on function rowqueue._forget_floors from public;

-- sql/6_maintain/confirm_identity.sql
-- Says that this database, a copy, may run its jobs.
-- State: running -> pending | Locks: rowqueue.identity, against itself; the running jobs | Writes: jobs_live, identity, lanes, watermarks
create or replace function rowqueue.confirm_identity(servers text[] default null)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_here rowqueue.identity;
    v_doubt text;
begin
    if confirm_identity.servers is not null and (
        coalesce(array_ndims(confirm_identity.servers), 0) <> 1
        or array_position(confirm_identity.servers, null) is not null
        or cardinality(confirm_identity.servers) > 100
        or not rowqueue._setting('cluster_name') = any (confirm_identity.servers)
    ) then
        perform rowqueue._reject('servers', 'must be an array of 1 to 100 names, one of which is the cluster_name of this server',
            'Give each server a cluster_name of its own in its configuration, and name the primary and all standbys here.');
    end if;

    lock table rowqueue.identity in share row exclusive mode;
    v_doubt := rowqueue._identity_doubt();
    if v_doubt is not null then
        -- Workers of the original hold these jobs, and may hold tokens that this database has not given out yet.
        perform rowqueue._move_tokens_on();
        update rowqueue.jobs as j
        set status = 'pending', started_at = null
        where j.status = 'running';
        -- What the maintenance knew, it knew of the original: its transaction ids, its clock.
        perform rowqueue._forget_floors();
    end if;

    v_here := rowqueue._here();
    delete from rowqueue.identity;
    insert into rowqueue.identity (noted_at, system_identifier, timeline, database_oid, table_oid, servers)
    values (
        rowqueue._now(), v_here.system_identifier, v_here.timeline, v_here.database_oid, v_here.table_oid,
        confirm_identity.servers);
    return v_doubt is not null;
end
$$;

revoke all on function rowqueue.confirm_identity from public;
call rowqueue._grant('execute on function rowqueue.confirm_identity', 'admin');

comment on function rowqueue.confirm_identity is
'Says that this database may run its jobs, though it is a copy: restored from a dump, made from a template, or of another server. Until then claim_next raises RQ203 there. Jobs that were running in the original are pending again, under tokens that were never given out. servers: the cluster_name of each server, primary and standbys, that may run jobs; on any other, such as a copy of the whole server that was promoted, claims are refused. Null: any server with the same system identifier.
Returns: true if it was a copy; false if there was no doubt, and then only servers is set.
Raises: 22023 for servers without the cluster_name of this one.
State: running -> pending, in a copy.
Role: admin.
Repeat: sets servers again, and changes nothing else.';

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
    return '0005';
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

-- sql/8_doctor/finding.sql
-- What doctor() can find. Each kind of finding is declared once, next to the query that looks for it: when it is found, how bad it is
-- and why. The page docs/doctor.md is made from these.
create table if not exists rowqueue.finding_kinds (
    name text not null,
    severity text not null,
    found_when text not null,
    why text not null,
    constraint finding_kinds_pkey primary key (name),
    constraint finding_kinds_severity_known check (severity in ('error', 'warning', 'notice'))
);

revoke all on table rowqueue.finding_kinds from public;
call rowqueue._grant('select on table rowqueue.finding_kinds', 'observer', 'admin');

comment on table rowqueue.finding_kinds is 'Everything that doctor() looks for.';
comment on column rowqueue.finding_kinds.name is 'What was found, in one word for programs. It is stable.';
comment on column rowqueue.finding_kinds.severity is
'error: jobs are lost, stuck or done twice, or soon will be. warning: it hurts, and gets worse. notice: good to know.';
comment on column rowqueue.finding_kinds.found_when is 'When it is found.';
comment on column rowqueue.finding_kinds.why is 'Why it matters.';

create or replace procedure rowqueue._finding(name text, severity text, found_when text, why text)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into rowqueue.finding_kinds (name, severity, found_when, why)
    values (_finding.name, _finding.severity, _finding.found_when, _finding.why)
    on conflict on constraint finding_kinds_pkey do update
    set severity = excluded.severity, found_when = excluded.found_when, why = excluded.why;
end
$$;

revoke all on procedure rowqueue._finding from public;

do $$
begin
    if to_regtype('rowqueue.finding') is null then
        create type rowqueue.finding as (
            severity text,
            name text,
            what text,
            why text,
            remedy text
        );
    end if;
end
$$;

comment on type rowqueue.finding is 'One thing that is wrong, from doctor().';
comment on column rowqueue.finding.severity is
'error: jobs are lost, stuck or done twice, or soon will be. warning: it hurts, and gets worse. notice: good to know.';
comment on column rowqueue.finding.name is 'What was found, in one word for programs: one of rowqueue.finding_kinds.';
comment on column rowqueue.finding.what is 'What was found, and where: for people.';
comment on column rowqueue.finding.why is 'Why it matters.';
comment on column rowqueue.finding.remedy is 'SQL that helps. Where SQL cannot, a comment of SQL that says what does.';

-- sql/8_doctor/blueprint.sql
-- What the installation made, so that doctor() can tell what is not as it was. The last file of all, recorded.sql, fills it.
create table if not exists rowqueue.blueprint (
    object text not null,
    definition text not null,
    constraint blueprint_pkey primary key (object)
);

revoke all on table rowqueue.blueprint from public;

comment on table rowqueue.blueprint is 'What was installed, for doctor() to compare.';
comment on column rowqueue.blueprint.object is 'What it is: function rowqueue.tick(), index rowqueue.jobs_live_claim_idx, …';
comment on column rowqueue.blueprint.definition is 'The statement that makes it.';

-- sql/8_doctor/_catalogue.sql
-- What rowqueue consists of, as the catalogue has it now: each object with the statement that makes it and the one that removes it.
-- Months of finished jobs come and go, and the tables of the migration tool are its own: neither is listed. `part_of` is the
-- table that the object is a part of.
create or replace function rowqueue._catalogue()
returns table (object text, part_of text, definition text, removal text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with relation as (
        select c.*, c.oid::regclass::text as name
        from pg_class as c
        where c.relnamespace = 'rowqueue'::regnamespace
        and c.relname !~ '^jobs_finished_\d{4}_\d{2}' and c.relname !~ 'yoyo'
    )
    select
        format('%s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure),
        null::text,
        rtrim(pg_get_functiondef(p.oid), E'\n'),
        format('drop routine %s', p.oid::regprocedure)
    from pg_proc as p
    where p.pronamespace = 'rowqueue'::regnamespace
    union all
    select
        format('table %s', r.name),
        r.name,
        concat_ws(
            ' ', 'create table', r.name, '()', 'partition by ' || pg_get_partkeydef(r.oid),
            'as partition ' || pg_get_expr(r.relpartbound, r.oid), case when r.relrowsecurity then 'with row security' end),
        format('drop table %s', r.name)
    from relation as r
    where r.relkind in ('r', 'p')
    union all
    select
        format('column %s.%I', r.name, a.attname),
        r.name,
        concat_ws(
            ' ', case r.relkind when 'c' then 'alter type' else 'alter table' end, r.name,
            case r.relkind when 'c' then 'add attribute' else 'add column' end, quote_ident(a.attname),
            format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
            'default ' || pg_get_expr(d.adbin, d.adrelid), case when a.attidentity <> '' then 'generated always as identity' end),
        format(
            case r.relkind when 'c' then 'alter type %s drop attribute %I' else 'alter table %s drop column %I' end,
            r.name, a.attname)
    from relation as r
    join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
    -- A partition has those of its table.
    where r.relkind in ('r', 'p', 'c') and not r.relispartition
    union all
    select
        format('constraint %I on %s', k.conname, r.name),
        r.name,
        format('alter table %s add constraint %I %s', r.name, k.conname, pg_get_constraintdef(k.oid)),
        format('alter table %s drop constraint %I', r.name, k.conname)
    from pg_constraint as k
    join relation as r on r.oid = k.conrelid
    -- From PostgreSQL 18 on, what is not null is a constraint as well. The column says it already.
    where k.coninhcount = 0 and k.contype <> 'n'
    union all
    select
        format('index %s', r.name),
        i.indrelid::regclass::text,
        pg_get_indexdef(r.oid) || case when i.indisvalid then '' else '; -- but it is not valid' end,
        format('drop index %s', r.name)
    from relation as r
    join pg_index as i on i.indexrelid = r.oid
    where not r.relispartition and not exists (select from pg_constraint as k where k.conindid = r.oid)
    union all
    select
        format('trigger %I on %s', t.tgname, r.name),
        r.name,
        pg_get_triggerdef(t.oid) || case when t.tgenabled = 'O' then '' else '; -- but it is not enabled' end,
        format('drop trigger %I on %s', t.tgname, r.name)
    from pg_trigger as t
    join relation as r on r.oid = t.tgrelid
    where not t.tgisinternal and t.tgparentid = 0
    union all
    select
        format('sequence %s', r.name),
        r.name,
        format(
            'alter sequence %s as %s increment %s minvalue %s maxvalue %s cache %s%s', r.name, format_type(s.seqtypid, null),
            s.seqincrement, s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' cycle' else ' no cycle' end),
        format('drop sequence %s', r.name)
    from relation as r
    join pg_sequence as s on s.seqrelid = r.oid
    union all
    select
        format('view %s', r.name),
        null,
        -- From PostgreSQL 16 on, the alias of the only table is left out.
        format('create or replace view %s as%s%s', r.name, E'\n',
            regexp_replace(rtrim(pg_get_viewdef(r.oid), ';'), '\m[a-z]\.', '', 'g')),
        format('drop view %s', r.name)
    from relation as r
    where r.relkind = 'v'
$$;

revoke all on function rowqueue._catalogue from public;

-- sql/8_doctor/_find_identity_doubts.sql
call rowqueue._finding(
    'identity_unconfirmed', 'error', 'this is a copy of the database in which jobs ran, and nobody has confirmed that they may run here',
    'claim_next raises RQ203: no job runs. In a copy, jobs that run elsewhere, or have run since, would run once more.');

-- Whether this is the database that it was.
create or replace function rowqueue._find_identity_doubts()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        'identity_unconfirmed',
        doubt.text,
        'select rowqueue.confirm_identity(); -- when no other database works on these jobs'
    from rowqueue._identity_doubt() as doubt(text)
    where doubt.text is not null
$$;

revoke all on function rowqueue._find_identity_doubts from public;

-- sql/8_doctor/_find_schema_drift.sql
call rowqueue._finding(
    'schema_missing', 'error', 'something that was installed is gone: a function, a column, an index, a constraint, a trigger',
    'What needs it fails, or reads the whole table instead of an index, or stores what it must not.');
call rowqueue._finding(
    'schema_changed', 'error', 'something that was installed is not what it was: somebody replaced it, or switched it off',
    'The guarantees are those of the functions and constraints as they were installed.');
call rowqueue._finding(
    'schema_extra', 'warning', 'there is something in the schema, or on one of its tables, that was not installed',
    'One more index makes every claim and heartbeat several times as dear, a trigger can fail them, and an upgrade may stumble over either.');

-- What differs from what was installed (blueprint.sql).
create or replace function rowqueue._find_schema_drift()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        case when now.object is null then 'schema_missing' when then_.object is null then 'schema_extra' else 'schema_changed' end,
        object || case
            when now.object is null then ' is missing'
            when then_.object is null then ' was not installed'
            else ' has been changed'
        end,
        case
            when then_.object is null then now.removal || ';'
            when object ~ '^table' or (object ~ '^column' and now.object is not null) then '-- as it was: ' || then_.definition
            when now.object is null or object ~ '^(function|procedure|view|sequence)' then then_.definition || ';'
            else format('%s; %s;', now.removal, then_.definition)
        end
    from rowqueue.blueprint as then_
    full join rowqueue._catalogue() as now using (object)
    where then_.definition is distinct from now.definition
    and (
        then_.object is not null
        or now.part_of is null
        or exists (select from rowqueue.blueprint as b where b.object = 'table ' || now.part_of)
    )
$$;

revoke all on function rowqueue._find_schema_drift from public;

-- sql/8_doctor/_find_missing_grants.sql
call rowqueue._finding(
    'grant_missing', 'error', 'a role of rowqueue lacks a right that it was given',
    'Calls of that role are refused. A restore without privileges, or onto a server without the roles, leaves it so.');
call rowqueue._finding(
    'role_missing', 'notice', 'one of the four roles does not exist',
    'Only the owner can use what the role is for.');
call rowqueue._finding(
    'granted_to_public', 'error', 'everyone has a right on something in the schema',
    'The functions run with the rights of their owner: who may call a private one can change any job of any workspace.');
call rowqueue._finding(
    'owner_differs', 'error', 'something in the schema belongs to another role than the schema',
    'The functions run with the rights of their owner. With another one they fail, or do more than they should.');

-- Whether the roles can do what they should, and nobody else.
create or replace function rowqueue._find_missing_grants()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with listed as (
        select g.role, r.oid as role_id, part.privilege, lower(found[2]) as kind, target.name as target
        from rowqueue.grants as g
        left join pg_roles as r on r.rolname = g.role
        cross join lateral regexp_match(g.privilege, '^(.*) on (function|table|schema|sequence) (.*)$') as found
        cross join lateral regexp_split_to_table(found[1], ',\s*') as part(privilege)
        cross join lateral regexp_split_to_table(found[3], ',\s*') as target(name)
    ), owned as (
        select format('%s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure) as object,
            p.proowner as owner, coalesce(p.proacl, acldefault('f', p.proowner)) as acl
        from pg_proc as p
        where p.pronamespace = 'rowqueue'::regnamespace
        union all
        select format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass),
            c.relowner, c.relacl
        from pg_class as c
        where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
        union all
        select format('schema %I', n.nspname), n.nspowner, n.nspacl
        from pg_namespace as n
        where n.nspname = 'rowqueue'
    )
    select distinct 'role_missing', format('there is no role %s', l.role),
        format('create role %I nologin; select rowqueue.grant_roles();', l.role)
    from listed as l
    where l.role_id is null
    union all
    select 'grant_missing', format('%s lacks %s on %s %s', l.role, l.privilege, l.kind, l.target),
        'select rowqueue.grant_roles();'
    from listed as l
    where l.role_id is not null
    and not coalesce(
        case l.kind
            when 'schema' then has_schema_privilege(l.role_id, l.target, l.privilege)
            when 'table' then has_table_privilege(l.role_id, to_regclass(l.target), l.privilege)
            when 'sequence' then has_sequence_privilege(l.role_id, to_regclass(l.target), l.privilege)
            else has_function_privilege(l.role_id, to_regproc(l.target), l.privilege)
        end,
        -- Of something that is gone. It is a finding of its own.
        true)
    union all
    select 'granted_to_public', format('everyone has %s on %s', string_agg(lower(a.privilege_type), ', '), o.object),
        format('revoke all on %s from public;', o.object)
    from owned as o
    cross join lateral aclexplode(o.acl) as a
    where a.grantee = 0
    group by o.object
    union all
    select 'owner_differs',
        format('%s belongs to %I, the schema to %I', o.object, pg_get_userbyid(o.owner), pg_get_userbyid(n.nspowner)),
        format('alter %s owner to %I;', o.object, pg_get_userbyid(n.nspowner))
    from owned as o
    join pg_namespace as n on n.nspname = 'rowqueue'
    where o.owner <> n.nspowner
$$;

revoke all on function rowqueue._find_missing_grants from public;

-- sql/8_doctor/_find_broken_invariants.sql
call rowqueue._finding(
    'running_without_lease', 'error', 'a running job has no token, no lease or no ticket',
    'Nobody can report on it, or the reaper does not see it, and it runs for ever. Somebody has changed the row by hand.');
call rowqueue._finding(
    'job_below_floor', 'error', 'a job lies where claims, or the reaper, do not look',
    'It waits until tick() finds it there, up to some seconds or, while a snapshot is held, much longer.');
call rowqueue._finding(
    'job_without_lane', 'error', 'a job waits in a lane (queue and priority) that does not exist',
    'Claims do not see it until tick() makes the lane.');
call rowqueue._finding(
    'jobs_were_below_floor', 'warning', 'the counter below_floor is not 0: tick() has found jobs below a floor',
    'Each of them waited some seconds too long. Somebody changed queue, priority or ticket by hand; if not, it is a defect: please report it.');
call rowqueue._finding(
    'watermark_missing', 'error', 'rowqueue.watermarks is empty',
    'Floors cannot rise, and delayed jobs are not found when they are due.');

-- Whether the jobs are where the functions look for them. Of each lane it reads what lies within 10,000 tickets beyond its bounds,
-- and it stops after the lane in which its time is up, so that it is quick however much waits, and however much is gone.
create or replace function rowqueue._find_broken_invariants()
returns table (name text, what text, remedy text)
language plpgsql
stable
security invoker
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
    c_far constant bigint := 10000;
    c_tick constant text := 'select rowqueue.tick();';
    v_ends timestamptz := clock_timestamp() + interval '500 milliseconds';
    v_queues text[] := rowqueue._queues();
    v_due_floor timestamptz := (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_now timestamptz := rowqueue._now();
    v_lane record;
begin
    if v_due_floor is null then
        return query select
            'watermark_missing', 'rowqueue.watermarks has no row',
            'insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)'
            ' values (pg_current_xact_id(), 0, 0, now(), ''-infinity'', true);';
    end if;

    if pg_sequence_last_value('rowqueue.below_floor'::regclass) is not null then
        return query select
            'jobs_were_below_floor',
            format('%s jobs were found below a floor so far', pg_sequence_last_value('rowqueue.below_floor'::regclass)),
            'select setval(''rowqueue.below_floor'', 1, false); -- once you know why';
    end if;

    return query
    select 'job_without_lane', format('a job waits in queue %s with priority %s, which is no lane', s.queue, s.priority), c_tick
    from rowqueue._stray_lanes(v_queues) as s;

    for v_lane in
        select l.* from rowqueue._lanes_of(v_queues) as l order by l.queue, l.priority desc
    loop
        return query
        select
            'running_without_lease',
            format('job %s of queue %s is running without a token, a lease or a ticket', j.id, v_lane.queue),
            format('update rowqueue.jobs set status = ''pending'', started_at = null where id = %L;', j.id)
        from rowqueue.jobs_live as j
        where j.queue = v_lane.queue and j.priority = v_lane.priority
        and j.ticket >= v_lane.live_floor and j.ticket < v_lane.ceiling
        and j.status = 'running' and (j.token is null or j.lease_until is null)
        limit 10;

        return query
        select
            'job_below_floor',
            format(
                '%s job %s of queue %s, priority %s, has ticket %s, out of sight of %s',
                j.status, j.id, v_lane.queue, v_lane.priority, j.ticket,
                case j.status when 'pending' then 'the claims' else 'the reaper' end),
            c_tick
        from rowqueue.jobs_live as j
        where j.queue = v_lane.queue and j.priority = v_lane.priority
        and (
            (j.status = 'pending' and j.ticket >= v_lane.floor - c_far and j.ticket < v_lane.floor)
            or (j.status = 'running' and j.ticket >= v_lane.live_floor - c_far and j.ticket < v_lane.live_floor)
            or (j.status = 'running' and j.ticket >= v_lane.ceiling and j.ticket < v_lane.ceiling + c_far)
        )
        and j.ticket >= least(v_lane.live_floor, v_lane.floor) - c_far
        and j.ticket < greatest(v_lane.floor, v_lane.ceiling + c_far)
        limit 10;
        exit when clock_timestamp() > v_ends;
    end loop;

    -- Those without a ticket: due ones that promotion would pass by, and running ones.
    return query
    select
        case j.status when 'running' then 'running_without_lease' else 'job_below_floor' end,
        case j.status
            when 'running' then format('job %s of queue %s is running without a ticket', j.id, j.queue)
            else format('job %s of queue %s is due since %s, which is out of sight of the promotion', j.id, j.queue, j.run_after)
        end,
        case j.status
            when 'running'
                then format('update rowqueue.jobs set status = ''pending'', started_at = null where id = %L;', j.id)
            else c_tick
        end
    from unnest(v_queues) as q(queue)
    cross join lateral (
        select j.id, j.queue, j.status, j.run_after
        from rowqueue.jobs_live as j
        where j.queue = q.queue and j.ticket is null
        and j.run_after <= v_now
        and (j.status = 'running' or j.run_after < v_due_floor)
        limit 10
    ) as j;
end
$$;

revoke all on function rowqueue._find_broken_invariants from public;

-- sql/8_doctor/_find_sequence_gaps.sql
call rowqueue._finding(
    'sequence_behind', 'error', 'a job has a token or a ticket that its sequence has not given out yet',
    'The number will be given out a second time: a late worker could report on a job that is not its own, or a job be passed by. Somebody reset the sequence, or restored the tables without it.');
call rowqueue._finding(
    'sequence_half_used', 'warning', 'a sequence has given out half of its numbers',
    'When they are used up, nothing can be enqueued or claimed any more.');

-- Whether the sequences are ahead of what they have given out, and far from their ends.
create or replace function rowqueue._find_sequence_gaps()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with lane as materialized (
        select l.* from rowqueue._lanes_of(rowqueue._queues()) as l
    ), used as (
        select 'tickets' as sequence, max(greatest(last.ticket, l.floor - 1, l.live_floor - 1)) as largest
        from lane as l
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket is not null
            order by j.ticket desc
            limit 1
        ) as last on true
        union all
        select 'tokens', max(running.token)
        from lane as l
        cross join lateral (
            select j.token
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority
            and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
            -- So that it is asked lane by lane, however few jobs the planner expects to run.
            offset 0
        ) as running
    )
    select
        'sequence_behind',
        format('%s were given out up to %s, but the sequence stands at %s', u.sequence, u.largest,
            coalesce(pg_sequence_last_value(format('rowqueue.%I', u.sequence)::regclass), 0)),
        format('select setval(''rowqueue.%I'', %s);', u.sequence, u.largest)
    from used as u
    where u.largest > coalesce(pg_sequence_last_value(format('rowqueue.%I', u.sequence)::regclass), 0)
    union all
    select
        'sequence_half_used',
        format('sequence %s stands at %s of %s', s.sequencename, s.last_value, s.max_value),
        '-- Please report it: at a million numbers a second it takes 146,000 years.'
    from pg_sequences as s
    -- The smaller ones hold a mark.
    where s.schemaname = 'rowqueue' and s.max_value > 1000 and s.last_value > s.max_value / 2
$$;

revoke all on function rowqueue._find_sequence_gaps from public;

-- sql/8_doctor/_find_held_snapshots.sql
call rowqueue._finding(
    'transaction_idle', 'warning', 'a session has been idle in a transaction for five minutes, and holds a snapshot or has written',
    'No row that died since can be cleared away, so tables and indexes grow. If it has written, floors cannot rise either, and claims slow down.');
call rowqueue._finding(
    'transaction_old', 'warning', 'a transaction has been under way for fifteen minutes, and holds a snapshot or has written',
    'No row that died since can be cleared away, so tables and indexes grow. If it has written, floors cannot rise either, and claims slow down.');
call rowqueue._finding(
    'transaction_hidden', 'warning', 'a session of another user holds a snapshot that 100,000 transactions have begun since',
    'No row that died since can be cleared away. Since when, and with which query, is hidden from the owner of rowqueue.');
call rowqueue._finding(
    'transaction_prepared', 'error', 'a transaction has been prepared for five minutes, and nobody has finished it',
    'It outlives its session and every restart. Until it is finished no row that died since can be cleared away, and floors cannot rise.');
call rowqueue._finding(
    'slot_inactive', 'warning', 'a replication slot has no consumer',
    'The server keeps all log since it was last read, and the rows that it may still need, until the disk is full.');
call rowqueue._finding(
    'replica_snapshot', 'warning', 'a replica with hot_standby_feedback holds a snapshot that 100,000 transactions have begun since',
    'A query there keeps rows that died here from being cleared away.');

-- Who keeps dead rows from being cleared away, and floors from rising: the oldest first.
create or replace function rowqueue._find_held_snapshots()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with holder as (
        select
            a.pid, a.usename, a.application_name, a.state, a.datname, rowqueue._now() - a.xact_start as held_for,
            age(coalesce(a.backend_xmin, a.backend_xid)) as transactions,
            case
                when a.datid is null then 'replica_snapshot'
                when a.xact_start is null then 'transaction_hidden'
                when a.state ~ '^idle in transaction' then 'transaction_idle'
                else 'transaction_old'
            end as kind,
            concat_ws(', ', 'user ' || a.usename, 'application ' || nullif(a.application_name, ''), a.state,
                case when a.backend_xid is not null then 'has written' end,
                case when a.datname <> current_database() then 'in database ' || a.datname end) as who,
            ': ' || left(regexp_replace(a.query, '\s+', ' ', 'g'), 80) as doing
        from pg_stat_activity as a
        -- Vacuum does not wait for the server's own sessions, which have no user.
        where a.usename is not null and a.pid <> pg_backend_pid()
        and (a.backend_xid is not null or (a.backend_xmin is not null and coalesce(a.datname = current_database(), true)))
    ), held as (
        select
            h.kind as name,
            format('process %s (%s) for %s%s', h.pid, h.who, date_trunc('second', h.held_for), h.doing) as what,
            format('select pg_terminate_backend(%s);', h.pid) as remedy,
            h.transactions
        from holder as h
        where (h.kind = 'transaction_idle' and h.held_for >= interval '5 minutes')
        or (h.kind = 'transaction_old' and h.held_for >= interval '15 minutes')
        union all
        select
            h.kind,
            format('process %s (%s), %s transactions old', h.pid, h.who, h.transactions),
            case h.kind
                when 'replica_snapshot'
                    then 'alter system set hot_standby_feedback = off; select pg_reload_conf(); -- there, or end the query there'
                else format('grant pg_read_all_stats to %I; -- then ask again', current_user)
            end,
            h.transactions
        from holder as h
        where h.kind in ('transaction_hidden', 'replica_snapshot') and h.transactions >= 100000
        union all
        select
            'replica_snapshot',
            format('replication slot %s, %s transactions old', s.slot_name, age(s.xmin)),
            'alter system set hot_standby_feedback = off; select pg_reload_conf(); -- there, or end the query there',
            age(s.xmin)
        from pg_replication_slots as s
        where s.active and age(s.xmin) >= 100000
        union all
        select
            'slot_inactive',
            format('replication slot %s (%s)%s', s.slot_name, s.slot_type,
                ', ' || greatest(age(s.xmin), age(s.catalog_xmin)) || ' transactions old'),
            format('select pg_drop_replication_slot(%L);', s.slot_name),
            greatest(age(s.xmin), age(s.catalog_xmin))
        from pg_replication_slots as s
        where not s.active and not s.temporary
        union all
        select
            'transaction_prepared',
            format('%L of %s in database %s, for %s', p.gid, p.owner, p.database,
                date_trunc('second', rowqueue._now() - p.prepared)),
            format('rollback prepared %L; -- or commit prepared', p.gid),
            age(p.transaction)
        from pg_prepared_xacts as p
        where rowqueue._now() - p.prepared >= interval '5 minutes'
    )
    select h.name, case when h.transactions = max(h.transactions) over () then 'the oldest: ' else '' end || h.what, h.remedy
    from held as h
    order by h.transactions desc nulls last
$$;

revoke all on function rowqueue._find_held_snapshots from public;

-- sql/8_doctor/_find_dead_rows.sql
call rowqueue._finding(
    'autovacuum_off', 'error', 'autovacuum, or track_counts by which it goes, is off: for the server or for a table of rowqueue',
    'Nothing clears away what claims and completions leave behind. The live table grows with every job, and everything that reads it slows down.');
call rowqueue._finding(
    'autovacuum_starving', 'warning', 'a table of rowqueue has four times the dead rows at which autovacuum should come, and none came for fifteen minutes',
    'Autovacuum is busy elsewhere, or cannot get at the table. The live table grows meanwhile.');
call rowqueue._finding(
    'dead_rows', 'warning', 'the live table has 100,000 dead rows or more, and five times as many as live ones',
    'Autovacuum does not keep up, or somebody holds an old snapshot. Claims stay fast, other queries of the table do not.');
call rowqueue._finding(
    'live_room_bloated', 'notice', 'the live table takes 64 MiB or more, and ten times what its rows need',
    'It is what a large backlog leaves behind. It costs disk and memory, and whatever reads the whole table, as health() does.');

-- Whether dead rows of the live room are cleared away, and its size. All from what the server counts: no table is read.
create or replace function rowqueue._find_dead_rows()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with ours as (
        select
            s.relid, s.relname, s.n_live_tup, s.n_dead_tup,
            rowqueue._now() - greatest(s.last_vacuum, s.last_autovacuum, pg_postmaster_start_time()) as since,
            coalesce(s.last_autovacuum, s.last_vacuum) as last,
            coalesce((option ->> 'autovacuum_vacuum_threshold')::numeric,
                current_setting('autovacuum_vacuum_threshold')::numeric)
            + coalesce((option ->> 'autovacuum_vacuum_scale_factor')::numeric,
                current_setting('autovacuum_vacuum_scale_factor')::numeric) * greatest(c.reltuples, 0) as threshold,
            coalesce((option ->> 'fillfactor')::numeric, 100) / 100 as filled,
            coalesce((option ->> 'autovacuum_enabled')::boolean, true) as enabled
        from pg_stat_all_tables as s
        join pg_class as c on c.oid = s.relid
        cross join lateral (
            select jsonb_object_agg(o.option_name, o.option_value) from pg_options_to_table(c.reloptions) as o
        ) as options(option)
        where s.schemaname = 'rowqueue'
    ), live as (
        select
            o.*,
            pg_relation_size(o.relid) as bytes,
            -- 28 bytes a row are its header and its place in the page.
            o.n_live_tup / o.filled * (
                select 28 + sum(st.avg_width * (1 - st.null_frac))
                from pg_stats as st
                where st.schemaname = 'rowqueue' and st.tablename = o.relname
            ) as needed
        from ours as o
        where o.relname = 'jobs_live'
    )
    select 'autovacuum_off', format('%s = off', setting),
        format('alter system set %s = on; select pg_reload_conf();', setting)
    from unnest(array['autovacuum', 'track_counts']) as setting
    where rowqueue._setting(setting) = 'off'
    union all
    select 'autovacuum_off', format('autovacuum_enabled = off on rowqueue.%I', o.relname),
        format('alter table rowqueue.%I reset (autovacuum_enabled);', o.relname)
    from ours as o
    where not o.enabled
    union all
    select 'autovacuum_starving',
        format('rowqueue.%I has %s dead rows, autovacuum should come at %s and last came %s', o.relname, o.n_dead_tup,
            round(o.threshold), coalesce(o.last::text, 'never')),
        format('vacuum (verbose) rowqueue.%I; -- and see autovacuum_max_workers', o.relname)
    from ours as o
    where o.n_dead_tup > 4 * o.threshold and o.since >= interval '15 minutes'
    union all
    select 'dead_rows', format('%s dead rows beside %s live ones', l.n_dead_tup, l.n_live_tup),
        'vacuum (verbose) rowqueue.jobs_live;'
    from live as l
    where l.n_dead_tup >= greatest(100000, 5 * l.n_live_tup)
    union all
    select 'live_room_bloated',
        format('%s, and %s of indexes, for about %s rows that need %s', pg_size_pretty(l.bytes),
            pg_size_pretty(pg_indexes_size(l.relid)), l.n_live_tup, pg_size_pretty(round(l.needed)::bigint)),
        'vacuum (full) rowqueue.jobs_live; -- it stops the queue while it lasts'
    from live as l
    where l.bytes >= 64 * 1024 * 1024 and l.bytes > 10 * (l.needed + l.n_dead_tup * 200)
$$;

revoke all on function rowqueue._find_dead_rows from public;

-- sql/8_doctor/_find_partition_gaps.sql
call rowqueue._finding(
    'partition_missing', 'warning', 'this month or the next has no partition for finished jobs',
    'What finishes then goes into the default partition, where retention deletes it row by row. Nobody has called tick() for months, or a reader kept it from working.');
call rowqueue._finding(
    'default_partition_used', 'warning', 'there are finished jobs in the default partition',
    'The month cannot get a partition of its own while they are there, and retention deletes them row by row.');

-- Whether finished jobs have a month to go to.
create or replace function rowqueue._find_partition_gaps()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
    with stray as materialized (
        select f.completed_at from rowqueue.jobs_finished_default as f limit 10001
    ), strays as (
        select count(*) as n, min(s.completed_at) as first, max(s.completed_at) as last from stray as s
    )
    select
        'partition_missing',
        format('there is no partition jobs_finished_%s', to_char(month, 'YYYY_MM')),
        'select rowqueue.tick();'
    from generate_series(
        date_trunc('month', rowqueue._now()), date_trunc('month', rowqueue._now()) + interval '1 month', interval '1 month'
    ) as month
    where not exists (
        select
        from pg_inherits as i
        join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'rowqueue.jobs_finished'::regclass and c.relname = 'jobs_finished_' || to_char(month, 'YYYY_MM')
    )
    union all
    select
        'default_partition_used',
        format('%s jobs that finished between %s and %s are in jobs_finished_default',
            case when s.n > 10000 then 'more than 10000' else s.n::text end, s.first, s.last),
        'begin; '
        'create temporary table moved on commit drop as select * from rowqueue.jobs_finished_default; '
        'delete from rowqueue.jobs_finished_default; '
        'select rowqueue.tick(); '
        'insert into rowqueue.jobs_finished select * from moved; '
        'commit; -- those of months that are over stay, until purge_finished() removes them'
    from strays as s
    where s.n > 0
$$;

revoke all on function rowqueue._find_partition_gaps from public;

-- sql/8_doctor/_find_unserved_queues.sql
call rowqueue._finding(
    'queue_unserved', 'error', 'a queue has had a due job for five minutes, and none of its jobs runs',
    'No worker serves the queue, or those that do are kept busy by other queues or have no handler for its jobs.');
call rowqueue._finding(
    'worker_silent', 'warning', 'a worker holds jobs whose lease ran out ten seconds ago',
    'It died, hangs or cannot reach the database. Its jobs run again once tick() has taken them back.');
call rowqueue._finding(
    'tick_missing', 'error', 'a job has been stuck, or due and without its place in the order, for a minute',
    'Nobody calls tick(): jobs of dead workers stay running, and delayed jobs wait for the next claim.');

-- Whether somebody works, and somebody looks after those who do. It reads the head of each lane, and what runs.
create or replace function rowqueue._find_unserved_queues()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with clock as materialized (
        select rowqueue._now() as now
    ), lane as materialized (
        select l.* from rowqueue._lanes_of(rowqueue._queues()) as l
    ), running as materialized (
        select l.queue, j.worker, least(j.lease_until, rowqueue._times_out(j.started_at, j.timeout_ms)) as ended_at
        from lane as l
        cross join lateral (
            select j.worker, j.lease_until, j.started_at, j.timeout_ms
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority
            and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
            -- So that it is asked lane by lane, however few jobs the planner expects to run.
            offset 0
        ) as j
    ), waiting as materialized (
        select l.queue, head.run_after
        from lane as l
        cross join lateral (
            select j.run_after
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.floor and j.status = 'pending'
            order by j.ticket
            limit 1
        ) as head
    ), unplaced as materialized (
        select q.queue, head.run_after
        from (select distinct l.queue from lane as l) as q
        cross join lateral (
            select j.run_after
            from rowqueue.jobs_live as j
            where j.queue = q.queue and j.ticket is null
            and j.run_after >= '-infinity' and j.run_after <= (select c.now from clock as c)
            order by j.run_after
            limit 1
        ) as head
    ), due as (
        select w.queue, min(w.run_after) as since
        from (select queue, run_after from waiting union all select queue, run_after from unplaced) as w
        group by w.queue
    )
    select
        'queue_unserved',
        format('queue %s has had a due job for %s, and none of its jobs runs', d.queue, date_trunc('second', c.now - d.since)),
        format('-- Start a worker for it: Worker(queues=[%s]), or claim_next(''…'', %L).', to_json(d.queue), array[d.queue]::text)
    from due as d, clock as c
    where d.since <= c.now - interval '5 minutes'
    and not exists (select from running as r where r.queue = d.queue)
    union all
    select
        'worker_silent',
        format('worker %s holds %s jobs whose lease or timeout ran out, the first one %s ago', r.worker, count(*),
            date_trunc('second', max(c.now - r.ended_at))),
        'select * from rowqueue.reap_stuck();'
    from running as r, clock as c
    where r.ended_at <= c.now - interval '10 seconds'
    group by r.worker
    union all
    select
        'tick_missing',
        concat_ws('; ',
            nullif(count(*) filter (where s.kind = 'stuck'), 0) || ' jobs are stuck',
            nullif(count(*) filter (where s.kind = 'unplaced'), 0) || ' queues have due jobs that nobody has given a place'),
        'select rowqueue.tick(); -- every few seconds: by a worker, pg_cron or cron'
    from (
        select 'stuck' as kind, r.ended_at as since from running as r
        union all
        select 'unplaced', u.run_after from unplaced as u
    ) as s, clock as c
    where s.since <= c.now - interval '1 minute'
    having count(*) > 0
$$;

revoke all on function rowqueue._find_unserved_queues from public;

-- sql/8_doctor/_find_unsafe_settings.sql
call rowqueue._finding(
    'fsync_off', 'error', 'fsync is off',
    'Nothing is waited for until it is on disk. After a power failure the whole database may be beyond repair.');
call rowqueue._finding(
    'full_page_writes_off', 'error', 'full_page_writes is off',
    'A page that was half written when the machine went down cannot be restored, unless the file system never tears pages.');
call rowqueue._finding(
    'synchronous_commit_off', 'error', 'synchronous_commit is off, here or for a role or this database',
    'A commit does not wait for the disk. When the server goes down, jobs that were enqueued in the last moments are gone, and completed ones run again.');
call rowqueue._finding(
    'commits_not_replicated', 'warning', 'there is a synchronous standby, but synchronous_commit is local',
    'Commits do not wait for the standby, and a failover loses jobs.');
call rowqueue._finding(
    'damage_ignored', 'error', 'zero_damaged_pages or ignore_checksum_failure is on',
    'Damaged pages are read as if nothing had happened: jobs vanish silently.');
call rowqueue._finding(
    'table_unlogged', 'error', 'a table of rowqueue is unlogged',
    'A crash empties it, and a standby never has it.');

-- Settings that decide whether what is committed stays.
create or replace function rowqueue._find_unsafe_settings()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select kind, format('%s = %s', setting, rowqueue._setting(setting)),
        format('alter system set %s = %s; select pg_reload_conf();', setting, safe)
    from (
        values
            ('fsync_off', 'fsync', 'off', 'on'),
            ('full_page_writes_off', 'full_page_writes', 'off', 'on'),
            ('synchronous_commit_off', 'synchronous_commit', 'off', 'on'),
            ('damage_ignored', 'zero_damaged_pages', 'on', 'off'),
            ('damage_ignored', 'ignore_checksum_failure', 'on', 'off')
    ) as rule(kind, setting, unsafe, safe)
    where rowqueue._setting(setting) = unsafe
    union all
    select
        'synchronous_commit_off',
        concat_ws(' ', 'synchronous_commit = off', 'for role ' || nullif(s.setrole, 0)::regrole, 'in database ' || d.datname),
        format('alter %s reset synchronous_commit;',
            case
                when s.setrole = 0 then format('database %I', d.datname)
                else concat_ws(' in database ', format('role %s', s.setrole::regrole), quote_ident(d.datname))
            end)
    from pg_db_role_setting as s
    left join pg_database as d on d.oid = s.setdatabase
    where (s.setdatabase = 0 or d.datname = current_database()) and 'synchronous_commit=off' = any (s.setconfig)
    union all
    select 'commits_not_replicated', 'synchronous_commit = local',
        'alter system set synchronous_commit = on; select pg_reload_conf();'
    where rowqueue._setting('synchronous_commit') = 'local' and rowqueue._setting('synchronous_standby_names') <> ''
    union all
    select 'table_unlogged', format('%s is unlogged', c.oid::regclass), format('alter table %s set logged;', c.oid::regclass)
    from pg_class as c
    where c.relnamespace = 'rowqueue'::regnamespace and c.relkind in ('r', 'p') and c.relpersistence = 'u'
$$;

revoke all on function rowqueue._find_unsafe_settings from public;

-- sql/8_doctor/_find_old_server.sql
call rowqueue._finding(
    'transaction_ids_low', 'error', 'the oldest transaction id, or multixact, of a database is more than a billion behind',
    'Half of them are used. At two billion the server takes no more writes, of any database, until it is vacuumed by hand. Something keeps autovacuum from freezing.');
call rowqueue._finding(
    'version_unsupported', 'warning', 'this major version of PostgreSQL gets no more fixes',
    'Defects and security holes that are found from now on stay.');

-- Whether the server will last.
create or replace function rowqueue._find_old_server()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select
        'transaction_ids_low',
        format('database %s: %s transactions and %s multixacts behind', d.datname, age(d.datfrozenxid), mxid_age(d.datminmxid)),
        'vacuum (freeze); -- in that database, as superuser, once no old transaction, slot or prepared transaction is left'
    from pg_database as d
    where greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) > 1000000000
    union all
    select
        'version_unsupported',
        format('PostgreSQL %s gets no more fixes since %s', current_setting('server_version'), support.ends),
        '-- Upgrade to a newer major version: https://www.postgresql.org/support/versioning/'
    from (
        values (15, date '2027-11-11'), (16, date '2028-11-09'), (17, date '2029-11-08'), (18, date '2030-11-14')
    ) as support(major, ends)
    where support.major = current_setting('server_version_num')::int / 10000 and support.ends <= rowqueue._now()
$$;

revoke all on function rowqueue._find_old_server from public;

-- sql/8_doctor/doctor.sql
-- What is wrong with the queue, and with the database that it lives in.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.doctor()
returns setof rowqueue.finding
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    return query
    select coalesce(k.severity, 'error'), f.name, f.what, coalesce(k.why, ''), f.remedy
    from (
        select * from rowqueue._find_identity_doubts()
        union all
        select * from rowqueue._find_schema_drift()
        union all
        select * from rowqueue._find_missing_grants()
        union all
        select * from rowqueue._find_broken_invariants()
        union all
        select * from rowqueue._find_sequence_gaps()
        union all
        select * from rowqueue._find_held_snapshots()
        union all
        select * from rowqueue._find_dead_rows()
        union all
        select * from rowqueue._find_partition_gaps()
        union all
        select * from rowqueue._find_unserved_queues()
        union all
        select * from rowqueue._find_unsafe_settings()
        union all
        select * from rowqueue._find_old_server()
    ) as f
    left join rowqueue.finding_kinds as k on k.name = f.name
    order by array_position(array['error', 'warning', 'notice'], coalesce(k.severity, 'error'));
end
$$;

revoke all on function rowqueue.doctor from public;
call rowqueue._grant('execute on function rowqueue.doctor', 'observer', 'admin');

comment on function rowqueue.doctor is
'What is wrong: with the schema and its grants, with jobs that lie where nobody looks, with old transactions and dead rows, with queues that nobody serves, with settings that put jobs at risk. Reads heads of lanes, what runs, and what the server counts, so it is quick however many jobs there are. Of other users'' sessions it sees what the owner of rowqueue may: grant pg_monitor to the owner to see all.
Returns: a row for each finding, errors first: how bad it is, what it is, why it matters, and the SQL that helps. None when all is well.
Raises: nothing.
State: changes no job.
Role: observer, admin.
Repeat: looks again.';

-- sql/8_doctor/recorded.sql
-- The last file of an installation, and a part of every migration: remembers what has been made, for doctor() to compare.
delete from rowqueue.blueprint;

insert into rowqueue.blueprint (object, definition)
select c.object, c.definition from rowqueue._catalogue() as c;
