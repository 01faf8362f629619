-- The one list of error codes: documents, tests and the Python exception classes are made from it or checked against it.
create table if not exists rowqueue.error_codes (
    code text not null,
    name text not null,
    meaning text not null,
    constraint error_codes_pkey primary key (code)
);

revoke all on table rowqueue.error_codes from public;

comment on table rowqueue.error_codes is 'Every SQLSTATE that a function of rowqueue raises by itself. Codes are stable; messages are not.';
comment on column rowqueue.error_codes.code is 'The SQLSTATE, five characters.';
comment on column rowqueue.error_codes.name is 'A name for it, as the Python exception classes use it.';
comment on column rowqueue.error_codes.meaning is 'What it means and what to do.';

insert into rowqueue.error_codes (code, name, meaning)
values
    ('22023', 'invalid_argument', 'An argument is out of range or malformed. The message names it; the hint gives the remedy.'),
    ('RQ001', 'job_not_found', 'No job has this id. It may have been purged.'),
    ('RQ101', 'lease_lost', 'This token no longer holds the job: the lease ran out and the job was handed on. Stop working on it.'),
    ('RQ102', 'wrong_state', 'The job is in a state that does not allow this call.'),
    ('RQ103', 'not_storable', 'A payload or result cannot be stored and read back safely: too large, too deep, or a number out of range.'),
    ('RQ104', 'key_conflict', 'Reserved: a key was used again with another payload where the caller asked for a conflict.'),
    ('RQ201', 'paused', 'Reserved: the queue or workspace is paused.'),
    ('RQ202', 'over_quota', 'Reserved: the workspace is over its quota.'),
    ('RQ203', 'identity_unconfirmed', 'This database is a copy of the one in which jobs ran. Nothing is claimed here until an admin calls confirm_identity().')
on conflict (code) do update set name = excluded.name, meaning = excluded.meaning;

call rowqueue._grant('select on table rowqueue.error_codes', 'producer', 'worker', 'observer', 'admin');

-- Raises an error about one argument. A caller reads: if … then perform rowqueue._reject('priority', 'must be …'); end if;
create or replace function rowqueue._reject(argument text, reason text, hint text default null, code text default '22023')
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if _reject.hint is null then
        raise exception '% %', _reject.argument, _reject.reason using errcode = _reject.code;
    end if;
    raise exception '% %', _reject.argument, _reject.reason using errcode = _reject.code, hint = _reject.hint;
end
$$;

revoke all on function rowqueue._reject from public;
