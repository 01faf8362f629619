-- The one way back from running to pending: failed attempts, releases and lost leases share it. The caller has locked the row.
-- State: running -> pending | Locks: none beyond the caller's | Writes: jobs_live
create or replace function rowqueue._requeue(job rowqueue.jobs_live, delay interval)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_now timestamptz := rowqueue._write_clock();
    v_run_after timestamptz := v_now + _requeue.delay;
begin
    update rowqueue.jobs_live as j
    set status = 'pending',
        -- A new ticket, at the end of its lane. A delayed job draws it when it is due.
        ticket = case when v_run_after <= v_now then rowqueue._draw_ticket() end,
        token = null,
        run_after = v_run_after,
        started_at = null,
        lease_until = null,
        worker = null,
        attempts = job.attempts,
        crashes = job.crashes,
        uncharged_crashes = job.uncharged_crashes,
        last_error = job.last_error
    where j.id = job.id;
    perform rowqueue._wake_worker();
end
$$;

revoke all on function rowqueue._requeue from public;
