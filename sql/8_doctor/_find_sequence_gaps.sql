call rowqueue._finding(
    'sequence_behind', 'error', 'a job has a token or a ticket that its sequence has not given out yet',
    'The number will be given out a second time: a late worker could report on a job that is not its own, or a job be passed by. Somebody reset the sequence, or restored the tables without it.');
call rowqueue._finding(
    'sequence_half_used', 'warning', 'a sequence has given out half of its numbers',
    'When they are used up, nothing can be enqueued or claimed any more.');

-- Whether the sequences are ahead of what they have given out, and far from their ends.
create or replace function rowqueue._find_sequence_gaps()
returns table (name text, what text, remedy text)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with lane as materialized (
        select l.* from rowqueue._lanes_of(rowqueue._queues()) as l
    ), used as (
        select 'tickets' as sequence, max(greatest(last.ticket, l.floor - 1, l.live_floor - 1)) as largest
        from lane as l
        left join lateral (
            select j.ticket
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority and j.ticket is not null
            order by j.ticket desc
            limit 1
        ) as last on true
        union all
        select 'tokens', max(running.token)
        from lane as l
        cross join lateral (
            select j.token
            from rowqueue.jobs_live as j
            where j.queue = l.queue and j.priority = l.priority
            and j.ticket >= l.live_floor and j.ticket < l.ceiling and j.status = 'running'
            -- So that it is asked lane by lane, however few jobs the planner expects to run.
            offset 0
        ) as running
    )
    select
        'sequence_behind',
        format('%s were given out up to %s, but the sequence stands at %s', u.sequence, u.largest,
            coalesce(pg_sequence_last_value(format('rowqueue.%I', u.sequence)::regclass), 0)),
        format('select setval(''rowqueue.%I'', %s);', u.sequence, u.largest)
    from used as u
    where u.largest > coalesce(pg_sequence_last_value(format('rowqueue.%I', u.sequence)::regclass), 0)
    union all
    select
        'sequence_half_used',
        format('sequence %s stands at %s of %s', s.sequencename, s.last_value, s.max_value),
        '-- Please report it: at a million numbers a second it takes 146,000 years.'
    from pg_sequences as s
    -- The smaller ones hold a mark.
    where s.schemaname = 'rowqueue' and s.max_value > 1000 and s.last_value > s.max_value / 2
$$;

revoke all on function rowqueue._find_sequence_gaps from public;
