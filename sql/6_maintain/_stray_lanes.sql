-- Lanes that have jobs and do not exist: in claim order, and in due order. Only the gaps between the lanes that do exist are read, and of
-- each the first entry, so that it costs a few probes a lane, whatever the lanes hold. A gap may have more: they are found next time.
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
        select gap.queue_between, gap.priority_between
        from rowqueue._first_between(v_queue, v_priority, v_lane.queue, v_lane.priority) as gap;
        v_queue := v_lane.queue;
        v_priority := v_lane.priority;
    end loop;

    -- Beyond the last one there is no upper end.
    return query
    select gap.queue_between, gap.priority_between
    from rowqueue._first_between(v_queue, v_priority, null, null) as gap;
end
$$;

revoke all on function rowqueue._stray_lanes from public;

-- The first jobs that lie between two lanes: below the first one in its queue, in the queues between, above the second one in its queue.
-- Each is sought with a lower end alone, and then seen to lie within. A row (queue, priority) for an upper end would not do: an
-- index scan does not stop where only its second member tells that it is over, and would walk all that the lanes hold.
create or replace function rowqueue._first_between(queue text, priority int, next_queue text, next_priority int)
returns table (queue_between text, priority_between int)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
    return query
    select distinct first.queue, first.priority
    from (
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue = _first_between.queue and j.priority > _first_between.priority
            order by j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue > _first_between.queue
            order by j.queue, j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is not null and j.queue = _first_between.next_queue
            and _first_between.next_queue <> _first_between.queue
            order by j.priority
            limit 1
        )
        union all
        (
            select j.queue, j.priority
            from rowqueue.jobs_live as j
            where j.ticket is null and j.queue > _first_between.queue
            order by j.queue
            limit 1
        )
    ) as first
    where _first_between.next_queue is null
    or (first.queue, first.priority) < (_first_between.next_queue, _first_between.next_priority);
end
$$;

revoke all on function rowqueue._first_between from public;
