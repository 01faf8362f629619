-- What the maintenance knows to be over. One row at a time, inserted anew and the old one deleted, newest id first, so that a
-- reader never walks over dead rows (see lanes.sql). How it is used stands in 6_maintain/_raise_floors.sql.
create table if not exists rowqueue.watermarks (
    id bigint generated always as identity,
    xid xid8 not null,
    ticket bigint not null,
    token bigint not null,
    seen_at timestamptz not null,
    due_floor timestamptz not null,
    applied boolean not null,
    constraint watermarks_pkey primary key (id)
) with (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

insert into rowqueue.watermarks (xid, ticket, token, seen_at, due_floor, applied)
select pg_catalog.pg_current_xact_id(), 0, 0, rowqueue._now(), '-infinity', true
where not exists (select from rowqueue.watermarks);

revoke all on table rowqueue.watermarks from public;
call rowqueue._grant('select on table rowqueue.watermarks', 'admin');

comment on table rowqueue.watermarks is 'How far the maintenance has come: what lies below is known to be over. The newest row counts.';
comment on column rowqueue.watermarks.id is 'The newest row is the largest.';
comment on column rowqueue.watermarks.xid is 'The transaction that noted ticket, token and seen_at. Once all up to it have ended, the note can be used.';
comment on column rowqueue.watermarks.ticket is 'The last ticket drawn before xid was assigned.';
comment on column rowqueue.watermarks.token is 'The last token drawn before xid was assigned: when it has moved, jobs were claimed.';
comment on column rowqueue.watermarks.seen_at is 'The clock before xid was assigned.';
comment on column rowqueue.watermarks.due_floor is 'No job without a ticket has a run_after before this instant.';
comment on column rowqueue.watermarks.applied is 'The note has been used to raise the floors.';

-- Clocks, a mark and a counter that must be written without leaving dead rows: a sequence is overwritten in place.
-- They are hints: setval takes effect at once and is not rolled back, and nothing breaks when one is wrong.
create sequence if not exists rowqueue.swept_at minvalue 0 start 0;
create sequence if not exists rowqueue.ticked_at minvalue 0 start 0;
create sequence if not exists rowqueue.idle_mark minvalue 1 maxvalue 3;
create sequence if not exists rowqueue.below_floor minvalue 1;

comment on sequence rowqueue.swept_at is 'When tick() last looked below the floors, in milliseconds since 1970.';
comment on sequence rowqueue.ticked_at is 'When tick_every() last found something to do, in milliseconds since 1970.';
comment on sequence rowqueue.idle_mark is '1: no worker waits. 2: a worker waits for a notification. 3: notifications are switched off.';
comment on sequence rowqueue.below_floor is 'How many jobs were found below a floor (when is_called). It must stay unused: each one was a job that waited too long.';
