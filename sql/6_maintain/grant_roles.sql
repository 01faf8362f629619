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
