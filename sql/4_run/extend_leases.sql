-- The heartbeat of a worker: one statement for all that it holds.
-- State: running -> running | Locks: those rows of jobs_live, in id order | Writes: jobs_live (HOT updates)
create or replace function rowqueue.extend_leases(job_ids uuid[], tokens bigint[], lease interval default '1 minute')
returns table (id uuid, outcome text)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
rows 100
as $$
#variable_conflict use_column
declare
    v_until timestamptz;
    v_ids uuid[];
    v_stopping boolean[];
begin
    perform rowqueue._check_tokens(extend_leases.job_ids, extend_leases.tokens);
    perform rowqueue._check_lease(extend_leases.lease);
    v_until := rowqueue._now() + extend_leases.lease;

    -- By id and in id order, whatever the planner knew: see 5_finish/_finish.sql.
    with asked as materialized (
        select a.id, a.token
        from unnest(extend_leases.job_ids, extend_leases.tokens) as a(id, token)
        order by a.id
    ), extended as (
        update rowqueue.jobs_live as j
        set lease_until = v_until
        from asked as a
        where j.id = any(array[a.id]) and j.token = a.token and j.status = 'running'
        returning j.id, j.cancel_requested_at is not null as stopping
    )
    select array_agg(e.id), array_agg(e.stopping) into v_ids, v_stopping from extended as e;

    return query
    select e.id, case when e.stopping then 'cancel' else 'extended' end
    from unnest(v_ids, v_stopping) as e(id, stopping);
    if cardinality(v_ids) is distinct from cardinality(extend_leases.job_ids) then
        return query
        select distinct a.id, 'lost'
        from unnest(extend_leases.job_ids) as a(id)
        where a.id <> all(coalesce(v_ids, '{}'));
    end if;
end
$$;

revoke all on function rowqueue.extend_leases from public;
call rowqueue._grant('execute on function rowqueue.extend_leases', 'worker', 'admin');

comment on function rowqueue.extend_leases is
'The heartbeat of a worker: extends the leases of up to 10000 jobs that it holds to now + lease (up to a day).
Returns: a row for each job. extended; cancel: extended, but a cancellation was requested, stop soon; lost: the token no longer holds the job, stop now.
Raises: 22023 for arrays that do not match or a lease out of range. Never an error for one bad row.
State: running -> running.
Role: worker, admin.
Repeat: extends again.';
