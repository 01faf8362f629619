-- Asks for a notification.
-- State: - | Locks: none | Writes: the sequence rowqueue.idle_mark, when it is not set yet
create or replace function rowqueue.mark_idle()
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_mark bigint := coalesce(pg_sequence_last_value('rowqueue.idle_mark'::regclass), 1);
begin
    if v_mark = 1 then
        perform setval('rowqueue.idle_mark', 2);
    end if;
    return v_mark <> 3;
end
$$;

revoke all on function rowqueue.mark_idle from public;
call rowqueue._grant('execute on function rowqueue.mark_idle', 'worker', 'admin');

comment on function rowqueue.mark_idle is
'Says that a worker found nothing to do and listens on channel rowqueue: the next enqueue sends one notification. Call it after an empty claim_next, then claim once more, then wait; go on polling, for a notification is a hint that may be missed. An enqueue that was under way when the mark was set may send none, so poll a few times quickly at first.
Returns: true; false when notifications are switched off (see set_notify) and only polling finds jobs.
Raises: nothing.
State: changes no job.
Role: worker, admin.
Repeat: writes nothing while the mark is set.';
