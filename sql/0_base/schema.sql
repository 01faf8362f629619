-- The schema that holds everything. Nothing of rowqueue lives outside it, save four roles.
create schema if not exists rowqueue;

comment on schema rowqueue is
'A job queue. People call its functions and read the view rowqueue.job; the tables belong to the owner and to rowqueue_admin. Start with: select * from rowqueue.health();';
