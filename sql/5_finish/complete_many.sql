-- Completes many jobs: running -> completed.
-- State: running -> completed | Locks: those rows of jobs_live, in id order | Writes: jobs_live, jobs_finished
create or replace function rowqueue.complete_many(job_ids uuid[], tokens bigint[], results jsonb[] default null)
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
    v_done uuid[];
    v_problems text[];
    v_asked record;
begin
    perform rowqueue._check_tokens(complete_many.job_ids, complete_many.tokens);
    if array_ndims(complete_many.results) > 1
        or cardinality(complete_many.results) not in (0, cardinality(complete_many.job_ids)) then
        perform rowqueue._reject('results', 'must be an array with one result for each id, or null');
    end if;

    -- A result that cannot be stored fails its own job, and no other. Then all are locked first, in their order: failing some
    -- before the others are locked would lock crosswise to a heartbeat.
    v_problems := array(select rowqueue._json_problem(r.result) from unnest(complete_many.results) as r(result));
    if array_remove(v_problems, null) <> '{}' then
        for v_asked in
            select a.id, a.token
            from unnest(complete_many.job_ids, complete_many.tokens) as a(id, token)
            order by a.id
        loop
            perform rowqueue._lock_running(v_asked.id, v_asked.token);
        end loop;
        perform rowqueue._end_attempt(j, 'result cannot be stored: it ' || a.problem)
        from unnest(complete_many.job_ids, complete_many.tokens, v_problems) as a(id, token, problem)
        cross join lateral rowqueue._lock_running(a.id, a.token) as j
        where a.problem is not null;
    end if;

    v_done := rowqueue._finish(
        complete_many.job_ids, complete_many.tokens, 'running', 'completed', complete_many.results);

    return query select d.id, 'completed' from unnest(v_done) as d(id);
    if cardinality(v_done) < cardinality(complete_many.job_ids) then
        return query
        select
            a.id,
            case
                when rowqueue._is_completed(a.id, a.tokens) then 'already'
                else 'lost'
            end
        from (
            select u.id, array_agg(u.token) as tokens
            from unnest(complete_many.job_ids, complete_many.tokens) as u(id, token)
            where u.id <> all(v_done)
            group by u.id
        ) as a;
    end if;
end
$$;

revoke all on function rowqueue.complete_many from public;
call rowqueue._grant('execute on function rowqueue.complete_many', 'worker', 'admin');

comment on function rowqueue.complete_many is
'Completes up to 10000 jobs in one call, in the caller''s transaction: what the handlers wrote in it and the completions stand or fall together. results are any JSON values, null for none.
Returns: a row for each job. completed; already: an earlier call with this token completed it; lost: the token no longer holds the job. A result that cannot be stored (see RQ103 in enqueue) fails that job with backoff and reads lost.
Raises: 22023 for arrays that do not match. Never an error for one bad row.
State: running -> completed.
Role: worker, admin.
Repeat: already.';
