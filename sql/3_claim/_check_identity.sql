-- Whether this session was told already that it may claim here. It remembers in a setting of its own of which table it was told so: a
-- restore replaces the table under the sessions' feet. No SET clause, so that the planner inlines it: each claim asks this.
create or replace function rowqueue._identity_is_checked()
returns boolean
language sql
stable
security invoker
as $$
    select coalesce(
        pg_catalog.current_setting('rowqueue.identity', true)
        = 'rowqueue.identity'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.text,
        false)
$$;

revoke all on function rowqueue._identity_is_checked from public;

-- Refuses to hand out jobs in a copy of the database: see 1_tables/identity.sql.
-- State: - | Locks: none; after a promotion the row of identity | Writes: after a promotion identity and the sequence of tokens
--
-- A session asks once. On a standby it does not ask, but once that is promoted it does.
create or replace function rowqueue._check_identity()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_doubt text;
begin
    if rowqueue._identity_is_checked() or pg_is_in_recovery() then
        return;
    end if;

    v_doubt := rowqueue._identity_doubt();
    if v_doubt is not null then
        raise exception 'this database is a copy of the one in which jobs ran: %', v_doubt using
            errcode = 'RQ203',
            detail = 'In a copy, jobs that run elsewhere, or have run since, would run once more. Until an admin confirms that they are to run here, nothing is handed out.',
            hint = 'When no other database works on these jobs: select rowqueue.confirm_identity();';
    end if;

    -- Whoever comes first after a promotion, or a recovery to a point in time, moves the tokens on before it draws one: those that
    -- were given out in the last moments of the old server, and are unknown to this one, must not be given out again.
    if (select min(i.timeline) from rowqueue.identity as i) < (rowqueue._here()).timeline then
        perform from rowqueue.identity as i for update;
        if (select min(i.timeline) from rowqueue.identity as i) < (rowqueue._here()).timeline then
            perform rowqueue._move_tokens_on();
            update rowqueue.identity as i set timeline = (rowqueue._here()).timeline;
        end if;
    end if;
    perform set_config('rowqueue.identity', 'rowqueue.identity'::regclass::oid::text, false);
end
$$;

revoke all on function rowqueue._check_identity from public;
