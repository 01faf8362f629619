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
