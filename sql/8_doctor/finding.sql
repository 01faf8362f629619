-- What doctor() can find. Each kind of finding is declared once, next to the query that looks for it: when it is found, how bad it is
-- and why. The page docs/doctor.md is made from these.
create table if not exists rowqueue.finding_kinds (
    name text not null,
    severity text not null,
    found_when text not null,
    why text not null,
    constraint finding_kinds_pkey primary key (name),
    constraint finding_kinds_severity_known check (severity in ('error', 'warning', 'notice'))
);

revoke all on table rowqueue.finding_kinds from public;
call rowqueue._grant('select on table rowqueue.finding_kinds', 'observer', 'admin');

comment on table rowqueue.finding_kinds is 'Everything that doctor() looks for.';
comment on column rowqueue.finding_kinds.name is 'What was found, in one word for programs. It is stable.';
comment on column rowqueue.finding_kinds.severity is
'error: jobs are lost, stuck or done twice, or soon will be. warning: it hurts, and gets worse. notice: good to know.';
comment on column rowqueue.finding_kinds.found_when is 'When it is found.';
comment on column rowqueue.finding_kinds.why is 'Why it matters.';

create or replace procedure rowqueue._finding(name text, severity text, found_when text, why text)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into rowqueue.finding_kinds (name, severity, found_when, why)
    values (_finding.name, _finding.severity, _finding.found_when, _finding.why)
    on conflict on constraint finding_kinds_pkey do update
    set severity = excluded.severity, found_when = excluded.found_when, why = excluded.why;
end
$$;

revoke all on procedure rowqueue._finding from public;

do $$
begin
    if to_regtype('rowqueue.finding') is null then
        create type rowqueue.finding as (
            severity text,
            name text,
            what text,
            why text,
            remedy text
        );
    end if;
end
$$;

comment on type rowqueue.finding is 'One thing that is wrong, from doctor().';
comment on column rowqueue.finding.severity is
'error: jobs are lost, stuck or done twice, or soon will be. warning: it hurts, and gets worse. notice: good to know.';
comment on column rowqueue.finding.name is 'What was found, in one word for programs: one of rowqueue.finding_kinds.';
comment on column rowqueue.finding.what is 'What was found, and where: for people.';
comment on column rowqueue.finding.why is 'Why it matters.';
comment on column rowqueue.finding.remedy is 'SQL that helps. Where SQL cannot, a comment of SQL that says what does.';
