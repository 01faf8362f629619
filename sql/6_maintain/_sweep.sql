-- Looks where nothing should be: below the floors, and in lanes that do not exist. Makes what it finds claimable, counts it in
-- the sequence rowqueue.below_floor, and returns how many. A DBA's UPDATE of queue, priority or ticket can put a waiting job
-- there; the functions cannot.
-- State: pending -> pending | Locks: those rows of jobs_live, skipping locked ones | Writes: jobs_live, lanes, ceilings
--
-- The entries of jobs that are gone may lie below a floor by the million while a snapshot is held, so it looks in windows that
-- widen downwards from the floor, and stops after the window in which its time is up: 20 ms. Otherwise it reaches the bottom
-- each time; what lies deeper than that waits until the snapshot is gone.
create or replace function rowqueue._sweep()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_ten_years constant bigint := 10 * 366 * 86400000::bigint;
    v_ends timestamptz := clock_timestamp() + interval '20 milliseconds';
    v_queues text[] := rowqueue._queues();
    v_note rowqueue.watermarks;
    v_near bigint := 0;
    v_far bigint := 10000;
    v_count int;
    v_found int := 0;
begin
    select w.* into v_note from rowqueue.watermarks as w order by w.id desc limit 1;

    insert into rowqueue.lanes (queue, priority)
    select s.queue, s.priority from rowqueue._stray_lanes(v_queues) as s;
    get diagnostics v_found = row_count;

    loop
        with lost as materialized (
            select low.ctid
            from rowqueue._lanes_of(v_queues) as l
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = l.queue and j.priority = l.priority
                and j.ticket >= l.floor - v_far and j.ticket < l.floor - v_near
                and (j.status = 'pending' or j.ticket < l.live_floor)
                order by j.ticket
                limit 100
                for update skip locked
            ) as low
        ), found as (
            update rowqueue.jobs_live as j
            set ticket = rowqueue._draw_ticket()
            from lost as l
            where j.ctid = l.ctid
            returning j.queue, j.priority, j.ticket, j.status
        ), raised as (
            insert into rowqueue.ceilings (queue, priority, ceiling)
            select f.queue, f.priority, f.ticket + 1 from found as f where f.status = 'running'
        )
        select count(*) into v_count from found;
        v_found := v_found + v_count;

        with lost as materialized (
            select low.ctid
            from unnest(v_queues) as q(queue)
            cross join lateral (
                select j.ctid
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null
                and j.run_after >= v_note.due_floor - v_far * interval '1 millisecond'
                and j.run_after < v_note.due_floor - v_near * interval '1 millisecond'
                order by j.run_after
                limit 100
                for update skip locked
            ) as low
        )
        update rowqueue.jobs_live as j
        set run_after = greatest(j.run_after, rowqueue._write_clock())
        from lost as l
        where j.ctid = l.ctid;
        get diagnostics v_count = row_count;
        v_found := v_found + v_count;

        v_near := v_far;
        v_far := v_far * 2;
        exit when v_near > greatest(v_note.ticket, c_ten_years) or clock_timestamp() > v_ends;
    end loop;

    perform nextval('rowqueue.below_floor') from generate_series(1, v_found);
    return v_found;
end
$$;

revoke all on function rowqueue._sweep from public;
