-- Hands out the next due jobs.
-- State: pending -> running | Locks: the claimed rows of jobs_live, skipping locked ones | Writes: jobs_live
create or replace function rowqueue.claim_next(
    worker text,
    queues text[] default '{default}',
    max_jobs int default 1,
    lease interval default '1 minute'
)
returns setof rowqueue.claimed_job
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
rows 100
as $$
declare
    v_now timestamptz := rowqueue._now();
    v_left int := claim_next.max_jobs;
    v_count int;
    v_level record;
    v_cutoff bigint;
    c_any constant bigint := 9223372036854775807;
begin
    perform rowqueue._check_claim(claim_next.worker, claim_next.queues, claim_next.max_jobs, claim_next.lease);

    -- What has become due meanwhile joins the lanes, but no more than this call may take: in a long transaction, the rest must
    -- not be kept from other workers.
    if rowqueue._any_due(claim_next.queues) then
        perform rowqueue._promote(claim_next.queues, claim_next.max_jobs);
    end if;

    for v_level in
        select l.priority, array_agg(l.queue) as queues, array_agg(l.floor) as floors
        from rowqueue._lanes_of(claim_next.queues) as l
        group by l.priority
        order by l.priority desc
    loop
        v_cutoff := c_any;
        if cardinality(v_level.queues) > 1 then
            -- First come, first served across the queues: nothing beyond the ticket that would be the last of this claim.
            select max(first.ticket)
            into v_cutoff
            from (
                select head.ticket
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ticket
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority and j.ticket >= lane.floor
                    order by j.ticket
                    limit v_left
                ) as head
                order by head.ticket
                limit v_left
            ) as first;
        end if;

        while v_left > 0 and v_cutoff is not null loop
            -- The claim. `head` locks the first free jobs of each lane in ticket order: one index scan a lane that begins
            -- at the floor and stops at the limit. It is materialized so that it runs once, whatever the plan, and
            -- feeds the update by ctid, so that the update takes just these rows, in this order; tokens rise with
            -- tickets, and the rows come out in the order of the claim. The row lock has given the transaction its
            -- id before the first token is drawn, which the token floor relies on (6_maintain/_raise_floors.sql).
            -- `stop` is where a job that may be a killer stands: it ends the batch, or is the batch.
            return query
            with head as materialized (
                select h.ctid, h.ticket, h.crashes
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ctid, j.ticket, j.crashes
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority
                    and j.ticket >= lane.floor and j.ticket <= v_cutoff
                    order by j.ticket
                    limit v_left
                    for update skip locked
                ) as h
                order by h.ticket
                limit v_left
            ), stop as materialized (
                select case
                    when min(h.ticket) = min(h.ticket) filter (where h.crashes > 0) and v_left = claim_next.max_jobs
                        then min(h.ticket) + 1
                    else coalesce(min(h.ticket) filter (where h.crashes > 0), c_any)
                end as ticket
                from head as h
            )
            update rowqueue.jobs_live as j
            set status = 'running',
                ticket = null,
                token = nextval('rowqueue.tokens'::regclass),
                attempts = j.attempts + 1,
                claimed_alone = (claim_next.max_jobs = 1 or j.crashes > 0),
                worker = claim_next.worker,
                started_at = v_now,
                lease_until = v_now + claim_next.lease,
                progress = null
            from head as h
            where j.ctid = h.ctid and h.ticket < (select s.ticket from stop as s)
            returning
                j.id, j.token, j.queue, j.job_type, j.workspace_id, j.payload, j.priority, j.attempts, j.max_attempts,
                j.timeout_ms, j.created_at, j.lease_until, j.crashes > 0;
            get diagnostics v_count = row_count;

            v_left := v_left - v_count;

            -- Such a job ends the call, whether it was taken or comes next: nothing of a lower priority may overtake it.
            if v_left between 1 and claim_next.max_jobs - 1 and exists (
                select
                from rowqueue.jobs_live as j
                where j.status = 'running' and j.token = currval('rowqueue.tokens'::regclass) and j.crashes > 0
                union all
                select
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.crashes
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority and j.ticket >= lane.floor
                    order by j.ticket
                    limit 1
                ) as next
                where next.crashes > 0
            ) then
                v_left := 0;
            end if;
            -- Others hold some of the jobs up to the cutoff: once more, without it.
            exit when v_cutoff = c_any;
            v_cutoff := c_any;
        end loop;
        exit when v_left = 0;
    end loop;
end
$$;

revoke all on function rowqueue.claim_next from public;
call rowqueue._grant('execute on function rowqueue.claim_next', 'worker', 'admin');

comment on function rowqueue.claim_next is
'Hands out up to max_jobs (1 to 1000) due jobs of some queues, highest priority first, then first come first served. Never waits for another worker. Each claim raises attempts, sets started_at, worker and lease_until (now + lease, up to a day) and draws a fresh token, which every report on the job must name. Extend the lease before it runs out.
Returns: the jobs, in that order; none when nothing is due, and then nothing is written. A job whose earlier lease ran out comes alone.
Raises: 22023 for an argument out of range; 40001 under REPEATABLE READ and SERIALIZABLE when another claim was quicker: use READ COMMITTED.
State: pending -> running.
Role: worker, admin.
Repeat: claims other jobs. Jobs of a call that was rolled back are free again.';
