-- What the installation made, so that doctor() can tell what is not as it was. The last file of all, recorded.sql, fills it.
create table if not exists rowqueue.blueprint (
    object text not null,
    definition text not null,
    constraint blueprint_pkey primary key (object)
);

revoke all on table rowqueue.blueprint from public;

comment on table rowqueue.blueprint is 'What was installed, for doctor() to compare.';
comment on column rowqueue.blueprint.object is 'What it is: function rowqueue.tick(), index rowqueue.jobs_live_claim_idx, …';
comment on column rowqueue.blueprint.definition is 'The statement that makes it.';
