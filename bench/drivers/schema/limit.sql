-- The least that a job's life needs: state 0 is pending, 1 running, 2 done. Each write adds one to it, so that 2 also says that
-- the job was claimed once and finished once.
create schema least;

create table least.jobs (
    id bigint generated always as identity primary key,
    state smallint not null default 0,
    payload jsonb not null
);

create index jobs_pending_idx on least.jobs (id) where state = 0;
