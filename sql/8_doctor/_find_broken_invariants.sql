call rowqueue._finding(
    'running_without_lease', 'error', 'a running job has no token, no lease or no ticket',
    'Nobody can report on it, or the reaper does not see it, and it runs for ever. Somebody has changed the row by hand.');
call rowqueue._finding(
    'job_below_floor', 'error', 'a job lies where claims, or the reaper, do not look',
    'It waits until tick() finds it there, up to some seconds or, while a snapshot is held, much longer.');
call rowqueue._finding(
    'job_without_lane', 'error', 'a job waits in a lane (queue and priority) that does not exist',
    'Claims do not see it until tick() makes the lane.');
call rowqueue._finding(
    'jobs_were_below_floor', 'warning', 'the counter below_floor is not 0: tick() has found jobs below a floor',
    'Each of them waited some seconds too long. Somebody changed queue, priority or ticket by hand; if not, it is a defect: please report it.');
call rowqueue._finding(
    'watermark_missing', 'error', 'rowqueue.watermarks is empty',
    'Floors cannot rise, and delayed jobs are not found when they are due.');

-- Whether the jobs are where the functions look for them. Of each lane it reads what lies within 10,000 tickets beyond its bounds,
-- and it stops after the lane in which its time is up, so that it is quick however much waits, and however much is gone.
create or replace function rowqueue._find_broken_invariants()
returns table (name text, what text, remedy text)
language plpgsql
stable
security invoker
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
    c_far constant bigint := 10000;
    c_tick constant text := 'select rowqueue.tick();';
    v_ends timestamptz := clock_timestamp() + interval '500 milliseconds';
    v_queues text[] := rowqueue._queues();
    v_due_floor timestamptz := (select w.due_floor from rowqueue.watermarks as w order by w.id desc limit 1);
    v_now timestamptz := rowqueue._now();
    v_lane record;
begin
    if v_due_floor is null then
        return query select
            'watermark_missing', 'rowqueue.watermarks has no row',
            'insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)'
            ' values (pg_current_xact_id(), 0, 0, now(), ''-infinity'', true);';
    end if;

    if pg_sequence_last_value('rowqueue.below_floor'::regclass) is not null then
        return query select
            'jobs_were_below_floor',
            format('%s jobs were found below a floor so far', pg_sequence_last_value('rowqueue.below_floor'::regclass)),
            'select setval(''rowqueue.below_floor'', 1, false); -- once you know why';
    end if;

    return query
    select 'job_without_lane', format('a job waits in queue %s with priority %s, which is no lane', s.queue, s.priority), c_tick
    from rowqueue._stray_lanes(v_queues) as s;

    for v_lane in
        select l.* from rowqueue._lanes_of(v_queues) as l order by l.queue, l.priority desc
    loop
        return query
        select
            'running_without_lease',
            format('job %s of queue %s is running without a token, a lease or a ticket', j.id, v_lane.queue),
            format('update rowqueue.jobs set status = ''pending'', started_at = null where id = %L;', j.id)
        from rowqueue.jobs_live as j
        where j.queue = v_lane.queue and j.priority = v_lane.priority
        and j.ticket >= v_lane.live_floor and j.ticket < v_lane.ceiling
        and j.status = 'running' and (j.token is null or j.lease_until is null)
        limit 10;

        return query
        select
            'job_below_floor',
            format(
                '%s job %s of queue %s, priority %s, has ticket %s, out of sight of %s',
                j.status, j.id, v_lane.queue, v_lane.priority, j.ticket,
                case j.status when 'pending' then 'the claims' else 'the reaper' end),
            c_tick
        from rowqueue.jobs_live as j
        where j.queue = v_lane.queue and j.priority = v_lane.priority
        and (
            (j.status = 'pending' and j.ticket >= v_lane.floor - c_far and j.ticket < v_lane.floor)
            or (j.status = 'running' and j.ticket >= v_lane.live_floor - c_far and j.ticket < v_lane.live_floor)
            or (j.status = 'running' and j.ticket >= v_lane.ceiling and j.ticket < v_lane.ceiling + c_far)
        )
        and j.ticket >= least(v_lane.live_floor, v_lane.floor) - c_far
        and j.ticket < greatest(v_lane.floor, v_lane.ceiling + c_far)
        limit 10;
        exit when clock_timestamp() > v_ends;
    end loop;

    -- Those without a ticket: due ones that promotion would pass by, and running ones.
    return query
    select
        case j.status when 'running' then 'running_without_lease' else 'job_below_floor' end,
        case j.status
            when 'running' then format('job %s of queue %s is running without a ticket', j.id, j.queue)
            else format('job %s of queue %s is due since %s, which is out of sight of the promotion', j.id, j.queue, j.run_after)
        end,
        case j.status
            when 'running'
                then format('update rowqueue.jobs set status = ''pending'', started_at = null where id = %L;', j.id)
            else c_tick
        end
    from unnest(v_queues) as q(queue)
    cross join lateral (
        select j.id, j.queue, j.status, j.run_after
        from rowqueue.jobs_live as j
        where j.queue = q.queue and j.ticket is null
        and j.run_after <= v_now
        and (j.status = 'running' or j.run_after < v_due_floor)
        limit 10
    ) as j;
end
$$;

revoke all on function rowqueue._find_broken_invariants from public;
