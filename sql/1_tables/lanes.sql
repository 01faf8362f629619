-- A lane is a queue and a priority. In its order of tickets stand three bounds:
--
--     gone    | running and gone | claimable, running and gone | claimable
--        live_floor            floor                        ceiling
--
-- No claimable ticket lies below the floor, so every claim begins there and never walks over the entries of jobs that are gone.
-- That matters while a snapshot is held open somewhere, for then nothing can remove those entries. No job at all lies below
-- live_floor, and none runs from the ceiling on: between those two the reaper finds all that runs.
--
-- Both tables are only inserted into and deleted from, and the largest bound counts: a reader takes the first entry of the index
-- and stops, so that the dead rows of earlier ones are never walked either. They have no unique constraint: transactions that
-- enqueue the first jobs of a lane each make it, without waiting for each other. A second row with floor 0 does no harm.
create table if not exists rowqueue.lanes (
    floor bigint not null default 0,
    priority int not null,
    queue text not null,
    live_floor bigint not null default 0
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

create index if not exists lanes_bounds_idx on rowqueue.lanes (queue, priority desc, floor desc, live_floor desc);

-- The floors are raised by the maintenance, the ceiling by the claims: a claim that reaches beyond it raises it in the same
-- transaction. Who sees the job run sees the ceiling, therefore. Two tables, so that neither writer covers what the other wrote.
create table if not exists rowqueue.ceilings (
    ceiling bigint not null,
    priority int not null,
    queue text not null
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

create index if not exists ceilings_ceiling_idx on rowqueue.ceilings (queue, priority, ceiling desc);

revoke all on table rowqueue.lanes, rowqueue.ceilings from public;
call rowqueue._grant('select on table rowqueue.lanes', 'admin');
call rowqueue._grant('select on table rowqueue.ceilings', 'admin');

comment on table rowqueue.lanes is 'The lanes (queue, priority) that have been used, with their floors. The largest floor of a lane counts.';
comment on column rowqueue.lanes.queue is 'The queue.';
comment on column rowqueue.lanes.priority is 'The priority.';
comment on column rowqueue.lanes.floor is 'No claimable ticket of the lane lies below it. Only for speed: a low floor is always right.';
comment on column rowqueue.lanes.live_floor is 'No job of the lane has a ticket below it. Only for speed, as well.';

comment on table rowqueue.ceilings is 'How far the claims have come in each lane. The largest ceiling of a lane counts.';
comment on column rowqueue.ceilings.queue is 'The queue.';
comment on column rowqueue.ceilings.priority is 'The priority.';
comment on column rowqueue.ceilings.ceiling is 'No job of the lane with this ticket or a larger one is running.';

-- The lanes of some queues, one row each with its bounds, read by seeking from head to head.
-- No SET clause, so that the planner inlines it.
create or replace function rowqueue._lanes_of(queues text[])
returns table (queue text, priority int, floor bigint, live_floor bigint, ceiling bigint)
language sql
stable
security invoker
as $$
    with recursive lane as (
        select q.queue, head.priority, head.floor, head.live_floor
        from (select distinct u.queue from pg_catalog.unnest($1) as u(queue)) as q
        cross join lateral (
            select l.priority, l.floor, l.live_floor
            from rowqueue.lanes as l
            where l.queue = q.queue
            order by l.priority desc, l.floor desc, l.live_floor desc
            limit 1
        ) as head
        union all
        select lane.queue, head.priority, head.floor, head.live_floor
        from lane
        cross join lateral (
            select l.priority, l.floor, l.live_floor
            from rowqueue.lanes as l
            where l.queue = lane.queue and l.priority < lane.priority
            order by l.priority desc, l.floor desc, l.live_floor desc
            limit 1
        ) as head
    )
    select
        lane.queue,
        lane.priority,
        lane.floor,
        lane.live_floor,
        coalesce(
            (
                select c.ceiling
                from rowqueue.ceilings as c
                where c.queue = lane.queue and c.priority = lane.priority
                order by c.ceiling desc
                limit 1
            ),
            0)
    from lane
$$;

revoke all on function rowqueue._lanes_of from public;

-- Every queue that has a lane.
create or replace function rowqueue._queues()
returns text[]
language sql
stable
security invoker
as $$
    with recursive q as (
        (select l.queue from rowqueue.lanes as l order by l.queue limit 1)
        union all
        select (select l.queue from rowqueue.lanes as l where l.queue > q.queue order by l.queue limit 1)
        from q
        where q.queue is not null
    )
    select pg_catalog.array_agg(q.queue) from q where q.queue is not null
$$;

revoke all on function rowqueue._queues from public;

-- Draws a ticket. The transaction id comes before nextval: this is the first rule of the floor (6_maintain/_raise_floors.sql).
create or replace function rowqueue._draw_ticket()
returns bigint
language sql
volatile
security invoker
as $$
    select case
        when pg_catalog.pg_current_xact_id() is not null then pg_catalog.nextval('rowqueue.tickets'::pg_catalog.regclass)
    end
$$;

revoke all on function rowqueue._draw_ticket from public;
