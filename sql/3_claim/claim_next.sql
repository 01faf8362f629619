-- Hands out the next due jobs.
-- State: pending -> running | Locks: the claimed rows of jobs_live, skipping locked ones | Writes: jobs_live (HOT updates), ceilings
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
    c_any constant bigint := 9223372036854775807;
    v_now timestamptz;
    v_left int := claim_next.max_jobs;
    v_level record;
    v_cutoff bigint;
    v_jobs tid[];
    v_crashed boolean[];
    v_last bigint;
    v_suspect int;
begin
    perform rowqueue._check_claim(claim_next.worker, claim_next.queues, claim_next.max_jobs, claim_next.lease);
    if not rowqueue._identity_is_checked() then
        perform rowqueue._check_identity();
    end if;

    -- What has become due meanwhile joins the lanes, but no more than this call may take: in a long transaction, the rest must
    -- not be kept from other workers.
    if rowqueue._any_due(claim_next.queues) then
        perform rowqueue._promote(claim_next.queues, claim_next.max_jobs);
    end if;

    for v_level in
        select l.priority, array_agg(l.queue) as queues, array_agg(l.floor) as floors, array_agg(l.ceiling) as ceilings
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
                    and j.status = 'pending'
                    order by j.ticket
                    limit v_left
                ) as head
                order by head.ticket
                limit v_left
            ) as first;
        end if;

        while v_left > 0 and v_cutoff is not null loop
            -- The first free jobs of these lanes in ticket order, locked: one index scan a lane that begins at the floor
            -- and stops at the limit.
            select array_agg(h.ctid), array_agg(h.crashes > 0), max(h.ticket)
            into v_jobs, v_crashed, v_last
            from (
                select head.ctid, head.crashes, head.ticket
                from unnest(v_level.queues, v_level.floors) as lane(queue, floor)
                cross join lateral (
                    select j.ctid, j.crashes, j.ticket
                    from rowqueue.jobs_live as j
                    where j.queue = lane.queue and j.priority = v_level.priority
                    and j.ticket >= lane.floor and j.ticket <= v_cutoff and j.status = 'pending'
                    order by j.ticket
                    limit v_left
                    for update skip locked
                ) as head
                order by head.ticket
                limit v_left
            ) as h;

            -- One that may have killed its worker is handed out alone: it is the whole claim, or the claim ends before it. Either
            -- way nothing of a lower priority overtakes it.
            v_suspect := array_position(v_crashed, true);
            if v_suspect = 1 and v_left = claim_next.max_jobs then
                v_jobs := v_jobs[:1];
            elsif v_suspect is not null then
                v_jobs := v_jobs[:v_suspect - 1];
            end if;

            -- Read after the jobs were seen: none started before it was made.
            v_now := rowqueue._now();
            -- The claim. It takes just those rows, by ctid, in this order: tokens rise with tickets, and the rows come out in
            -- the order of the claim.
            return query
            update rowqueue.jobs_live as j
            set status = 'running',
                token = nextval('rowqueue.tokens'::regclass),
                -- Who resets the last attempt by hand wants it to run once more.
                attempts = least(j.attempts + 1, j.max_attempts),
                claimed_alone = (claim_next.max_jobs = 1 or j.crashes > 0),
                worker = claim_next.worker,
                started_at = v_now,
                lease_until = v_now + claim_next.lease,
                progress = null
            from unnest(v_jobs) as h(ctid)
            where j.ctid = h.ctid
            returning
                j.id, j.token, j.queue, j.job_type, j.workspace_id, j.payload, j.priority, j.attempts, j.max_attempts,
                j.timeout_ms, j.created_at, j.lease_until, j.crashes > 0;

            -- Some way beyond what was claimed, so that not every claim has to raise it.
            if v_last >= any (v_level.ceilings) then
                insert into rowqueue.ceilings (queue, priority, ceiling)
                select lane.queue, v_level.priority, v_last + least(16 * claim_next.max_jobs, 1000)
                from unnest(v_level.queues, v_level.ceilings) as lane(queue, ceiling)
                where lane.ceiling <= v_last;
            end if;

            v_left := case when v_suspect is null then v_left - coalesce(cardinality(v_jobs), 0) else 0 end;
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
Raises: 22023 for an argument out of range; RQ203 in a copy of the database that nobody has confirmed (see confirm_identity); 40001 under REPEATABLE READ and SERIALIZABLE when another claim was quicker: use READ COMMITTED.
State: pending -> running.
Role: worker, admin.
Repeat: claims other jobs. Jobs of a call that was rolled back are free again.';
