-- The switch for notifications.
-- State: - | Locks: none | Writes: the sequence rowqueue.idle_mark
create or replace function rowqueue.set_notify(enabled boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if enabled is null then
        perform rowqueue._reject('enabled', 'must be true or false');
    end if;
    perform setval('rowqueue.idle_mark', case when enabled then 1 else 3 end);
end
$$;

revoke all on function rowqueue.set_notify from public;
call rowqueue._grant('execute on function rowqueue.set_notify', 'admin');

comment on function rowqueue.set_notify is
'Switches notifications on or off for all. Without them, workers find jobs by polling only. Takes effect at once, even if the transaction rolls back.
Returns: nothing.
Raises: 22023 for null.
State: changes no job.
Role: admin.
Repeat: does no harm.';
