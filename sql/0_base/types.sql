-- What claim_next returns. New fields go last.
do $$
begin
    if to_regtype('rowqueue.claimed_job') is null then
        create type rowqueue.claimed_job as (
            id uuid,
            token bigint,
            queue text,
            job_type text,
            workspace_id uuid,
            payload jsonb,
            priority int,
            attempts int,
            max_attempts int,
            timeout_ms int,
            created_at timestamptz,
            lease_until timestamptz,
            alone boolean
        );
    end if;
    if to_regtype('rowqueue.queue_health') is null then
        create type rowqueue.queue_health as (
            queue text,
            pending bigint,
            due bigint,
            running bigint,
            stuck bigint,
            failed_last_hour bigint,
            failure_rate_last_hour numeric,
            oldest_due_age interval
        );
    end if;
end
$$;

comment on type rowqueue.claimed_job is 'A job as a worker gets it from claim_next.';
comment on column rowqueue.claimed_job.id is 'The job.';
comment on column rowqueue.claimed_job.token is 'The fencing token of this claim: every report on the job must name it.';
comment on column rowqueue.claimed_job.queue is 'The queue it was in.';
comment on column rowqueue.claimed_job.job_type is 'What to do.';
comment on column rowqueue.claimed_job.workspace_id is 'The workspace it belongs to, or null.';
comment on column rowqueue.claimed_job.payload is 'What to do it with.';
comment on column rowqueue.claimed_job.priority is 'Its priority.';
comment on column rowqueue.claimed_job.attempts is 'Which attempt this is, from 1.';
comment on column rowqueue.claimed_job.max_attempts is 'How many it gets.';
comment on column rowqueue.claimed_job.timeout_ms is 'How long this attempt may take from now on, in milliseconds.';
comment on column rowqueue.claimed_job.created_at is 'When it was enqueued.';
comment on column rowqueue.claimed_job.lease_until is 'Extend the lease before this instant.';
comment on column rowqueue.claimed_job.alone is
'An earlier lease on it ran out, so it may be a job that kills its worker: run nothing else in the same process meanwhile.';

comment on type rowqueue.queue_health is 'The state of one queue, from health().';
comment on column rowqueue.queue_health.queue is 'The queue.';
comment on column rowqueue.queue_health.pending is 'Jobs that wait, due or not.';
comment on column rowqueue.queue_health.due is 'Pending jobs that may run now.';
comment on column rowqueue.queue_health.running is 'Jobs that a worker holds.';
comment on column rowqueue.queue_health.stuck is 'Running jobs whose lease or timeout ran out: reap_stuck() is due.';
comment on column rowqueue.queue_health.failed_last_hour is 'Jobs that failed for good in the last hour.';
comment on column rowqueue.queue_health.failure_rate_last_hour is 'Their share of the jobs that completed or failed in the last hour, 0 to 1; null when there were none.';
comment on column rowqueue.queue_health.oldest_due_age is 'How long the oldest due job has been due; null when none is.';
