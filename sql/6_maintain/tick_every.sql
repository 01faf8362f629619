-- One tick a period, however many ask.
-- State: as tick | Locks: as tick | Writes: as tick
create or replace function rowqueue.tick_every(period interval)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now_ms bigint := rowqueue._epoch_ms(rowqueue._now());
    v_last_ms bigint := coalesce(pg_sequence_last_value('rowqueue.ticked_at'::regclass), 0);
    v_done jsonb;
begin
    if tick_every.period is null or tick_every.period not between interval '0' and interval '1 day' then
        perform rowqueue._reject('period', 'must be between 0 and 1 day');
    end if;
    if v_now_ms >= v_last_ms and v_now_ms < v_last_ms + 1000 * extract(epoch from tick_every.period) then
        return null;
    end if;

    v_done := rowqueue.tick();
    -- Only when something was written anyway: an idle tick leaves no trace.
    if pg_current_xact_id_if_assigned() is not null then
        perform setval('rowqueue.ticked_at', v_now_ms);
    end if;
    return v_done;
end
$$;

revoke all on function rowqueue.tick_every from public;
call rowqueue._grant('execute on function rowqueue.tick_every', 'worker', 'admin');

comment on function rowqueue.tick_every is
'Calls tick(), unless another call of tick_every() found something to do less than `period` ago (up to a day). So any number of workers that each call it often cost what one would.
Returns: what tick() returns; null when it was not called.
Raises: 22023 for a period out of range; otherwise as tick().
State: pending -> pending; running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: null within the period, if there was something to do.';
