-- Puts many jobs into the queue at once: all of them or none.
-- State: - -> pending | Locks: none; waits for a transaction that is inserting the same unique_key | Writes: jobs_live, lanes
create or replace function rowqueue.enqueue_many(jobs jsonb)
returns table (ordinal int, id uuid, created boolean)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
rows 1000
as $$
#variable_conflict use_column
declare
    v_known constant text[] :=
        '{job_type,payload,workspace_id,priority,run_after,max_attempts,timeout_ms,unique_key,queue}'::text[];
    v_now timestamptz := rowqueue._now();
    v_odd record;
    v_bad record;
    v_jobs rowqueue._new_job[];
begin
    if enqueue_many.jobs is null or jsonb_typeof(enqueue_many.jobs) <> 'array' then
        perform rowqueue._reject('jobs', 'must be a JSON array of objects', 'Each object has enqueue''s argument names as keys.');
    elsif jsonb_array_length(enqueue_many.jobs) > 100000 then
        perform rowqueue._reject('jobs', 'must have at most 100000 elements', 'Enqueue in several calls.');
    end if;

    select j.ordinal, jsonb_typeof(j.job) as kind
    into v_odd
    from jsonb_array_elements(enqueue_many.jobs) with ordinality as j(job, ordinal)
    where case when jsonb_typeof(j.job) = 'object' then (j.job - v_known) <> '{}' else true end
    limit 1;
    if v_odd.kind = 'object' then
        perform rowqueue._reject(format('jobs[%s]', v_odd.ordinal), 'has a key that is no argument of enqueue',
            'The keys are ' || array_to_string(v_known, ', ') || '.');
    elsif v_odd.kind is not null then
        perform rowqueue._reject(format('jobs[%s]', v_odd.ordinal), format('is of type %s, not an object', v_odd.kind));
    end if;

    select array_agg(row(
        j.job_type, coalesce(j.payload, '{}'), j.workspace_id, coalesce(j.priority, 0), j.run_after,
        coalesce(j.max_attempts, 3), coalesce(j.timeout_ms, 600000), j.unique_key, coalesce(j.queue, 'default')
    )::rowqueue._new_job)
    into v_jobs
    from jsonb_to_recordset(enqueue_many.jobs) as j(
        job_type text, payload jsonb, workspace_id uuid, priority int, run_after timestamptz,
        max_attempts int, timeout_ms int, unique_key text, queue text);

    select n.ordinal, p.problem
    into v_bad
    from unnest(v_jobs) with ordinality as n(
        job_type, payload, workspace_id, priority, run_after, max_attempts, timeout_ms, unique_key, queue, ordinal)
    cross join lateral (
        select rowqueue._job_problem(
            n.job_type, n.payload, n.priority, n.run_after, n.max_attempts, n.timeout_ms, n.unique_key, n.queue, v_now) as problem
    ) as p
    where p.problem is not null
    limit 1;
    if found then
        perform rowqueue._reject(
            format('jobs[%s].%s', v_bad.ordinal, v_bad.problem[1]), v_bad.problem[2], v_bad.problem[3], v_bad.problem[4]);
    end if;

    if exists (select from unnest(v_jobs) as n where n.unique_key is not null) then
        loop
            begin
                return query select * from rowqueue._insert_keyed_jobs(v_jobs);
                return;
            exception when sqlstate 'RQ000' then
                null;
            end;
        end loop;
    elsif v_jobs is not null then
        return query select * from rowqueue._insert_jobs(v_jobs);
    end if;
end
$$;

revoke all on function rowqueue.enqueue_many from public;
call rowqueue._grant('execute on function rowqueue.enqueue_many', 'producer', 'worker', 'admin');

comment on function rowqueue.enqueue_many is
'Puts many jobs into the queue, in the caller''s transaction: all of them or none. jobs is an array of up to 100000 objects whose keys are enqueue''s argument names; what is left out or null has enqueue''s default.
Returns: a row for each element, in the order given: ordinal (from 1), the id, and whether this call made the job (false: its unique_key was taken, and the id is that of the job which holds it).
Raises: 22023 for an argument out of range or an unknown key; RQ103 for a payload that cannot be stored; 22P02 and its kin where a value is not of its type.
State: - -> pending.
Role: producer, worker, admin.
Repeat: makes the jobs again, except those with a unique_key.';
