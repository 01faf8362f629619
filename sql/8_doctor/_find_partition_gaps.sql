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
