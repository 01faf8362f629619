-- Lanes that have jobs and do not exist: at most one between each two that do, in claim order and in due order. Only gaps are
-- read, from both ends by the index, so that it costs a few probes a lane, whatever the lanes hold.
create or replace function rowqueue._stray_lanes(queues text[])
returns table (queue text, priority int)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    v_lane record;
    v_queue text := '';
    v_priority int := 0;
begin
    for v_lane in
        select l.queue, l.priority from rowqueue._lanes_of(_stray_lanes.queues) as l order by l.queue, l.priority
    loop
        return query
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null
            and (j.queue, j.priority) > (v_queue, v_priority) and (j.queue, j.priority) < (v_lane.queue, v_lane.priority)
            order by j.queue, j.priority
            limit 1
        )
        union
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is null and j.queue > v_queue and j.queue < v_lane.queue
            order by j.queue
            limit 1
        );
        v_queue := v_lane.queue;
        v_priority := v_lane.priority;
    end loop;

    -- Beyond the last one there is no upper end.
    return query
    (
        select j.queue, j.priority
        from rowqueue.jobs_live as j
        where j.ticket is not null and (j.queue, j.priority) > (v_queue, v_priority)
        order by j.queue, j.priority
        limit 1
    )
    union
    (
        select j.queue, j.priority
        from rowqueue.jobs_live as j
        where j.ticket is null and j.queue > v_queue
        order by j.queue
        limit 1
    );
end
$$;

revoke all on function rowqueue._stray_lanes from public;
