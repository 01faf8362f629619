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
