-- Takes back the jobs whose worker is gone: lease or timeout ran out.
-- State: running -> pending | failed | cancelled | Locks: those rows of jobs_live, skipping locked ones | Writes: jobs_live, jobs_finished
create or replace function rowqueue.reap_stuck(max_jobs int default 1000)
returns table (id uuid, outcome text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := rowqueue._now();
    v_lane record;
    v_stuck tid[] := '{}';
    v_job rowqueue.jobs_live;
    v_times_out timestamptz;
begin
    if reap_stuck.max_jobs is null or reap_stuck.max_jobs not between 1 and 100000 then
        perform rowqueue._reject('max_jobs', 'must be between 1 and 100000');
    end if;

    for v_lane in select l.queue, l.priority, l.live_floor, l.ceiling from rowqueue._lanes_of(rowqueue._queues()) as l loop
        begin
            v_stuck := v_stuck || array(
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = v_lane.queue and j.priority = v_lane.priority
                and j.ticket >= v_lane.live_floor and j.ticket < v_lane.ceiling and j.status = 'running'
                and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
                order by j.ticket);
        exception when data_corrupted or index_corrupted then
            -- The leases of the other lanes must end all the same.
            raise warning 'priority % of queue % cannot be read: %', v_lane.priority, v_lane.queue, sqlerrm;
        end;
    end loop;

    for v_job in
        select j.*
        from unnest(v_stuck) as s(ctid)
        join rowqueue.jobs_live as j on j.ctid = s.ctid
        where j.status = 'running'
        and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
        order by j.token
        limit reap_stuck.max_jobs
        for update of j skip locked
    loop
        id := v_job.id;
        v_times_out := rowqueue._times_out(v_job.started_at, v_job.timeout_ms);
        if v_times_out <= v_now and v_times_out < v_job.lease_until then
            outcome := rowqueue._end_attempt(v_job, format('timeout: ran longer than %s ms', v_job.timeout_ms));
        else
            outcome := rowqueue._end_crash(v_job);
        end if;
        return next;
    end loop;
end
$$;

revoke all on function rowqueue.reap_stuck from public;
call rowqueue._grant('execute on function rowqueue.reap_stuck', 'worker', 'admin');

comment on function rowqueue.reap_stuck is
'Takes back up to max_jobs (1 to 100000) running jobs whose lease or timeout ran out, oldest claim first. With attempts left they are pending with backoff, without they are failed; those that somebody cancelled are cancelled. last_error says which it was, with the figure. When a lease on several jobs of one claim ran out, any of them may have killed the worker: they get the attempt back, are due at once and are handed out one at a time, each alone; one that crashes then is charged for both.
Returns: a row for each job: its id and its new status.
Raises: 22023 for max_jobs out of range.
State: running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: finds the next ones. Safe from any number of callers at once: none waits for another.';
