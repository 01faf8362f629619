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
