-- The heartbeat of one job.
-- State: running -> running | Locks: one row of jobs_live | Writes: jobs_live (a HOT update)
create or replace function rowqueue.extend_lease(job_id uuid, token bigint, lease interval default '1 minute')
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_outcome text;
begin
    perform rowqueue._check_token(extend_lease.job_id, extend_lease.token);
    select e.outcome
    into v_outcome
    from rowqueue.extend_leases(array[extend_lease.job_id], array[extend_lease.token], extend_lease.lease) as e;
    if v_outcome = 'lost' then
        perform rowqueue._raise_lost(extend_lease.job_id, extend_lease.token);
    end if;
    return v_outcome = 'extended';
end
$$;

revoke all on function rowqueue.extend_lease from public;
call rowqueue._grant('execute on function rowqueue.extend_lease', 'worker', 'admin');

comment on function rowqueue.extend_lease is
'The heartbeat of one job: extends its lease to now + lease (up to a day).
Returns: true: go on. false: a cancellation was requested, stop soon.
Raises: RQ101 when the token no longer holds the job; RQ102 when it is finished; RQ001 when there is none; 22023 for a lease out of range.
State: running -> running.
Role: worker, admin.
Repeat: extends again.';
