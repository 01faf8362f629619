-- When an attempt claimed at `started_at` times out. Stable, like the operator in it: it would not be inlined otherwise.
create or replace function rowqueue._times_out(started_at timestamptz, timeout_ms int)
returns timestamptz
language sql
stable
security invoker
as $$ select $1 + $2 * interval '1 millisecond' $$;

revoke all on function rowqueue._times_out from public;

-- Ends an attempt whose worker was lost, and settles whose fault it was. Returns the new status.
-- State: running -> pending | failed | cancelled | Locks: none beyond the caller's | Writes: jobs_live, jobs_finished
--
-- A job that kills its worker must end as failed after max_attempts runs, and the jobs that were claimed with it must lose nothing.
-- The first time nobody knows which of them it was: the attempt is given back, and a crash noted. From then on claim_next hands
-- out each of them alone. One that crashes alone is the killer: it is charged for this crash, and for the one given back.
create or replace function rowqueue._end_crash(job rowqueue.jobs_live)
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error text := format('worker lost: the lease of %s ran out', job.worker);
begin
    job.crashes := job.crashes + 1;
    if job.claimed_alone then
        job.attempts := least(job.attempts + job.uncharged_crashes, job.max_attempts);
        job.uncharged_crashes := 0;
    else
        job.attempts := greatest(job.attempts - 1, 0);
        job.uncharged_crashes := job.uncharged_crashes + 1;
    end if;

    update rowqueue.jobs_live as j
    set attempts = job.attempts,
        crashes = job.crashes,
        uncharged_crashes = job.uncharged_crashes
    where j.id = job.id;
    return rowqueue._end_attempt(job, v_error, retry_after => case when not job.claimed_alone then interval '0' end);
end
$$;

revoke all on function rowqueue._end_crash from public;
