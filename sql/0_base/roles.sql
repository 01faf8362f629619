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
