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
