-- How each queue is.
-- State: - | Locks: none | Writes: nothing
create or replace function rowqueue.health()
returns setof rowqueue.queue_health
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rowqueue._now();
begin
    return query
    with live as (
        select
            j.queue,
            count(*) filter (where j.status = 'pending') as pending,
            count(*) filter (where j.status = 'pending' and j.run_after <= v_now) as due,
            count(*) filter (where j.status = 'running') as running,
            count(*) filter (
                where j.status = 'running'
                and (j.lease_until <= v_now or rowqueue._times_out(j.started_at, j.timeout_ms) <= v_now)
            ) as stuck,
            v_now - min(j.run_after) filter (where j.status = 'pending' and j.run_after <= v_now) as oldest_due_age
        from rowqueue.jobs_live as j
        group by j.queue
    ), ended as (
        select
            f.queue,
            count(*) filter (where f.status = 'failed') as failed,
            count(*) as all_ended
        from rowqueue.jobs_finished as f
        where f.completed_at > v_now - interval '1 hour' and f.status in ('completed', 'failed')
        group by f.queue
    ), known as (
        select u.queue from unnest(rowqueue._queues()) as u(queue)
        union
        select l.queue from live as l
    )
    select
        k.queue,
        coalesce(l.pending, 0),
        coalesce(l.due, 0),
        coalesce(l.running, 0),
        coalesce(l.stuck, 0),
        coalesce(e.failed, 0),
        round(e.failed::numeric / e.all_ended, 4),
        l.oldest_due_age
    from known as k
    left join live as l on l.queue = k.queue
    left join ended as e on e.queue = k.queue
    order by k.queue;
end
$$;

revoke all on function rowqueue.health from public;
call rowqueue._grant('execute on function rowqueue.health', 'producer', 'worker', 'observer', 'admin');

comment on function rowqueue.health is
'How each queue is: what waits, what is due, what runs, what is stuck (lease or timeout ran out), what failed in the last hour and its share of all that ended, and how long the oldest due job has waited. Counts rows: it reads the live jobs and those finished in the last hour.
Returns: a row for each queue that has ever been used.
Raises: nothing.
State: changes no job.
Role: producer, worker, observer, admin.
Repeat: reads again.';
