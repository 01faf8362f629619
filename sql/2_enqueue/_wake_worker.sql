-- Whether an enqueue has somebody to wake. No SET clause, so that the planner inlines it.
create or replace function rowqueue._worker_waits()
returns boolean
language sql
volatile
security invoker
as $$ select pg_catalog.pg_sequence_last_value('rowqueue.idle_mark'::pg_catalog.regclass) operator(pg_catalog.=) 2 $$;

revoke all on function rowqueue._worker_waits from public;

-- One NOTIFY when a worker waits, and none when all are busy: NOTIFY takes a lock that the whole database shares at commit.
-- The mark is cleared at once, so a burst of enqueues sends one; a worker sets it again when it next runs dry. A notification is a
-- hint: one that is lost with a rolled-back transaction, or not sent because the notification queue fills up, costs
-- latency up to the polling interval, never a job.
create or replace function rowqueue._wake_worker()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if rowqueue._worker_waits() and pg_notification_queue_usage() < 0.5 then
        perform setval('rowqueue.idle_mark', 1);
        perform pg_notify('rowqueue', '');
    end if;
end
$$;

revoke all on function rowqueue._wake_worker from public;
