-- One new job as the functions pass it on: the arguments of enqueue, in its order.
do $$
begin
    if to_regtype('rowqueue._new_job') is null then
        create type rowqueue._new_job as (
            job_type text,
            payload jsonb,
            workspace_id uuid,
            priority int,
            run_after timestamptz,
            max_attempts int,
            timeout_ms int,
            unique_key text,
            queue text
        );
    end if;
end
$$;

-- Raises 22023 or RQ103 for the first thing that is wrong with a job; `place` goes before the argument's name in the
-- message, such as "jobs[3].". Nothing is written before this has passed.
create or replace function rowqueue._check_job(job rowqueue._new_job, place text default '')
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_problem text;
begin
    if job.job_type is null or job.job_type !~ '^[a-z0-9][a-z0-9_.:-]{0,62}$' then
        perform rowqueue._reject(place || 'job_type', 'is not a valid name', rowqueue._name_hint());
    elsif job.queue is null or job.queue !~ '^[a-z0-9][a-z0-9_.:-]{0,62}$' then
        perform rowqueue._reject(place || 'queue', 'is not a valid name', rowqueue._name_hint());
    elsif job.priority is null or job.priority not between -32768 and 32767 then
        perform rowqueue._reject(place || 'priority', 'must be between -32768 and 32767');
    elsif job.max_attempts is null or job.max_attempts not between 1 and 1000 then
        perform rowqueue._reject(place || 'max_attempts', 'must be between 1 and 1000');
    elsif job.timeout_ms is null or job.timeout_ms not between 1 and 86400000 then
        perform rowqueue._reject(place || 'timeout_ms', 'must be between 1 and 86400000', 'It is in milliseconds, a day at most.');
    elsif not isfinite(job.run_after) or job.run_after > rowqueue._now() + interval '10 years' then
        perform rowqueue._reject(place || 'run_after', 'must be within the next 10 years');
    elsif job.run_after < '1970-01-01' then
        perform rowqueue._reject(place || 'run_after', 'must not lie before 1970', 'Leave it out for "now".');
    elsif octet_length(job.unique_key) not between 1 and 512 then
        perform rowqueue._reject(place || 'unique_key', 'must have 1 to 512 bytes', 'Leave it out, or use a hash of a longer key.');
    elsif jsonb_typeof(job.payload) <> 'object' then
        perform rowqueue._reject(place || 'payload', 'must be a JSON object', 'Wrap it: {"value": …}.');
    end if;

    if job.payload <> '{}' then
        v_problem := rowqueue._json_problem(job.payload);
        if v_problem is not null then
            raise exception '%payload %', place, v_problem
                using errcode = 'RQ103', hint = 'Store large or odd data elsewhere and put a reference to it in the payload.';
        end if;
    end if;
end
$$;

revoke all on function rowqueue._check_job from public;

create or replace function rowqueue._name_hint()
returns text
language sql
immutable
security invoker
as $$ select 'A name has 1 to 63 of the characters a-z 0-9 _ . : - and begins with a letter or a digit.' $$;

revoke all on function rowqueue._name_hint from public;
