-- Makes the partitions of jobs_finished for this month and the next three, where they are missing. Returns how many.
-- State: - | Locks: jobs_finished (share update exclusive), jobs_finished_default (exclusive), 100 ms at most | Writes: the catalogue
--
-- A table is made on its own and attached: create table … partition of would lock all of jobs_finished. Whoever holds the
-- default partition (a dump, a report) makes this give up until the next tick: there are months of time.
create or replace function rowqueue._make_partitions()
returns int
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
    v_month timestamptz;
    v_name text;
    v_made int := 0;
begin
    for v_month in
        select date_trunc('month', rowqueue._now()) + n * interval '1 month' from generate_series(0, 3) as n
    loop
        v_name := 'jobs_finished_' || to_char(v_month, 'YYYY_MM');
        continue when to_regclass('rowqueue.' || v_name) is not null;
        begin
            -- Nobody ticked for months, and jobs of this one went into the default partition. There they stay: purge_finished
            -- finds them there too.
            continue when exists (
                select
                from rowqueue.jobs_finished_default as f
                where f.completed_at >= v_month and f.completed_at < v_month + interval '1 month'
            );
            execute format(
                'create table rowqueue.%I (like rowqueue.jobs_finished including defaults including constraints, '
                'constraint %I primary key (id)) with (fillfactor = 100)', v_name, v_name || '_pkey');
            execute format('revoke all on table rowqueue.%I from public', v_name);
            execute format(
                'comment on table rowqueue.%I is %L', v_name,
                'Jobs that finished in ' || to_char(v_month, 'YYYY-MM') || ' (UTC): a partition of rowqueue.jobs_finished.');
            execute format(
                'alter table rowqueue.jobs_finished attach partition rowqueue.%I for values from (%L) to (%L)',
                v_name, v_month, v_month + interval '1 month');
            v_made := v_made + 1;
        -- Another tick is making it, or a reader is in the way: next time.
        exception when lock_not_available or duplicate_table or unique_violation or check_violation then
            exit;
        end;
    end loop;
    return v_made;
end
$$;

revoke all on function rowqueue._make_partitions from public;

do $$ begin perform rowqueue._make_partitions(); end $$;
