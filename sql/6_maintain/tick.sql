-- Everything periodic, in one call.
-- State: pending -> pending; running -> pending | failed | cancelled | Locks: as its parts, none waits | Writes: as its parts
create or replace function rowqueue.tick()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now_ms bigint := rowqueue._epoch_ms(rowqueue._now());
    v_floors int;
    v_promoted int := 0;
    v_reaped int;
    v_partitions int;
    v_found int := 0;
    v_count int;
begin
    begin
        -- First of all, for it must begin without a transaction id.
        v_floors := rowqueue._raise_floors();

        for v_round in 1..10 loop
            v_count := rowqueue._promote(rowqueue._queues(), 1000);
            v_promoted := v_promoted + v_count;
            exit when v_count < 1000;
        end loop;
        if v_promoted > 0 then
            perform rowqueue._wake_worker();
        end if;
    exception when data_corrupted or index_corrupted then
        -- A damaged page stops its own lane; leases must end all the same.
        raise warning 'floors and due jobs cannot be read: %', sqlerrm;
        v_floors := 0;
        v_promoted := 0;
    end;

    select count(*) into v_reaped from rowqueue.reap_stuck();
    v_partitions := rowqueue._make_partitions();

    if v_now_ms - coalesce(pg_sequence_last_value('rowqueue.swept_at'::regclass), 0) not between 0 and 4999 then
        begin
            v_found := rowqueue._sweep();
        exception when data_corrupted or index_corrupted then
            raise warning 'what lies below the floors cannot be read: %', sqlerrm;
        end;
        if pg_current_xact_id_if_assigned() is not null then
            perform setval('rowqueue.swept_at', v_now_ms);
        end if;
    end if;

    -- Only when something was written anyway: an idle tick leaves no trace.
    if pg_current_xact_id_if_assigned() is not null then
        perform rowqueue._note_identity();
    end if;

    return jsonb_build_object(
        'promoted', v_promoted, 'reaped', v_reaped, 'floors', v_floors, 'below_floor', v_found, 'partitions', v_partitions,
        'running', rowqueue._any_running());
end
$$;

revoke all on function rowqueue.tick from public;
call rowqueue._grant('execute on function rowqueue.tick', 'worker', 'admin');

comment on function rowqueue.tick is
'Everything periodic in one call: raises the floors, gives due jobs their place, reaps stuck jobs, makes the partitions of the months to come, and every five seconds looks below the floors. Call it each second or so, in a transaction of its own: a worker, pg_cron, cron or a DBA may, and any number of them.
Returns: what it did, as counts: promoted, reaped, floors (lanes raised), below_floor (must be 0), partitions; and running: whether any job runs, so that the next call should follow within a second.
Raises: 40001 under REPEATABLE READ and SERIALIZABLE: use READ COMMITTED.
State: pending -> pending; running -> pending, failed or cancelled.
Role: worker, admin.
Repeat: does what has become due since. Writes nothing, and uses no transaction id, when nothing has. In a transaction that has written already it leaves the floors alone.';
