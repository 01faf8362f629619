-- Raises the floors below which nothing is left to find: of tickets (lanes.floor and live_floor) and of due times (watermarks).
-- Returns how many lanes were raised. Only for speed: with every floor at its lowest, the queue does the same, more slowly.
-- State: - | Locks: the newest row of watermarks, skipping it when locked | Writes: lanes, ceilings, watermarks
--
-- Why this never passes a job by. A ticket becomes visible when its transaction commits, which may be long after it was drawn, and
-- after larger ones. So a floor must not rise past a ticket that somebody holds and has not committed. Three rules:
--
-- 1. Who draws a ticket has a transaction id first (_draw_ticket; for due times _write_clock).
-- 2. Raising takes two transactions. The first reads the sequence's last value S *before it has an id of its own*, then notes S with
--    its id X. Ids are given out in order, so everyone who drew a ticket up to S has an id below X. A later transaction whose snapshot
--    has xmin > X knows that all of those have ended: what they committed it sees, what they rolled back never was. The floor
--    may then be S + 1, or the smallest ticket that is still there.
--    (xmax of a snapshot will not do for X: it is one past the last *completed* id, and ids in progress lie above it.)
-- 3. A floor is only speed: _sweep looks below it, now and then. What it finds is counted, and the count must stay 0.
--
-- The same note serves due times: there the clock is S. Tokens are noted to see whether anything was claimed.
create or replace function rowqueue._raise_floors()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    -- These three are read before this transaction has an id: the order is the second rule.
    v_ticket bigint := coalesce(pg_sequence_last_value('rowqueue.tickets'::regclass), 0);
    v_token bigint := coalesce(pg_sequence_last_value('rowqueue.tokens'::regclass), 0);
    v_clock timestamptz := rowqueue._now();
    v_note rowqueue.watermarks;
    v_snapshot pg_snapshot;
    v_moved boolean;
    v_void boolean;
    v_raised int := 0;
    v_due_floor timestamptz;
begin
    if pg_current_xact_id_if_assigned() is not null then
        return 0;
    end if;

    select w.* into v_note from rowqueue.watermarks as w order by w.id desc limit 1;
    v_snapshot := pg_current_snapshot();
    v_moved := v_ticket > v_note.ticket or v_token > v_note.token;
    -- The note tells nothing here if its id was not given out yet, for then it comes from the server that a dump was taken on; nor if
    -- the clock went back since, for then jobs become due before what was over. Ticks at once differ by less than a second.
    v_void := v_note.xid >= pg_snapshot_xmax(v_snapshot)
        or v_clock < greatest(v_note.due_floor, v_note.seen_at) - interval '1 second';
    if not v_void and (pg_snapshot_xmin(v_snapshot) <= v_note.xid or (v_note.applied and not v_moved)) then
        return 0;
    end if;

    perform from rowqueue.watermarks as w where w.id = v_note.id for update skip locked;
    if not found then
        return 0;
    end if;

    v_due_floor := v_note.due_floor;
    if not v_void and not v_note.applied then
        v_raised := rowqueue._raise_lanes(v_note.ticket);

        select least(v_note.seen_at, min(first.run_after))
        into v_due_floor
        from (
            select head.run_after
            from unnest(rowqueue._queues()) as q(queue)
            cross join lateral (
                select j.run_after
                from rowqueue.jobs_live as j
                where j.queue = q.queue and j.ticket is null and j.run_after >= v_note.due_floor
                order by j.run_after
                limit 1
            ) as head
        ) as first;
    end if;

    insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
    values (
        pg_current_xact_id(), v_ticket, v_token, v_clock,
        case when v_void then '-infinity' else greatest(v_due_floor, v_note.due_floor) end, not v_moved and not v_void);
    delete from rowqueue.watermarks as w where w.id = v_note.id;
    return v_raised;
end
$$;

revoke all on function rowqueue._raise_floors from public;

-- Raises the floors of lanes, given that every ticket up to `ticket` is settled: 200 lanes a call, the lowest first.
create or replace function rowqueue._raise_lanes(ticket bigint)
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    v_lane record;
    v_raised int := 0;
begin
    for v_lane in
        select
            l.queue, l.priority, l.floor, l.live_floor, l.ceiling,
            least(_raise_lanes.ticket + 1, claimable.ticket) as new_floor,
            least(_raise_lanes.ticket + 1, live.ticket) as new_live_floor
        from rowqueue._lanes_of(rowqueue._queues()) as l
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.floor and j.status = 'pending'
            order by j.ticket
            limit 1
        ) as claimable on true
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket >= l.live_floor
            order by j.ticket
            limit 1
        ) as live on true
        where l.live_floor <= _raise_lanes.ticket
        order by l.live_floor
        limit 200
    loop
        if v_lane.new_floor > v_lane.floor or v_lane.new_live_floor > v_lane.live_floor then
            insert into rowqueue.lanes (queue, priority, floor, live_floor)
            values (v_lane.queue, v_lane.priority, v_lane.new_floor, v_lane.new_live_floor);
            delete from rowqueue.lanes as l
            where l.queue = v_lane.queue and l.priority = v_lane.priority
            and (l.floor = 0 or (l.floor = v_lane.floor and l.live_floor = v_lane.live_floor));
            delete from rowqueue.ceilings as c
            where c.queue = v_lane.queue and c.priority = v_lane.priority and c.ceiling < v_lane.ceiling;
            v_raised := v_raised + 1;
        end if;
    end loop;
    return v_raised;
end
$$;

revoke all on function rowqueue._raise_lanes from public;
