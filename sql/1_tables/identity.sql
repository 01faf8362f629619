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
