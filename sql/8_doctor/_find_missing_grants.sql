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
