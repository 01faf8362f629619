-- rowqueue's table of live jobs once more, with its columns, checks, indexes and storage settings, and nothing around it; and
-- the same without an index. A bare INSERT fills them with the rows that rowqueue.enqueue and enqueue_many make.
create schema bare;

create table bare.jobs (like rowqueue.jobs_live including all);
create table bare.jobs_unindexed (like rowqueue.jobs_live including all excluding indexes);

do $$
declare
    v_settings text := (
        select array_to_string(c.reloptions, ', ') from pg_class as c where c.oid = 'rowqueue.jobs_live'::regclass);
begin
    execute format('alter table bare.jobs set (%s)', v_settings);
    execute format('alter table bare.jobs_unindexed set (%s)', v_settings);
end
$$;

create sequence bare.tickets;

-- The cheapest id that grows, as rowqueue's do: an index likes that.
create sequence bare.ids;
