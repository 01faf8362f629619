-- The last file of an installation, and a part of every migration: remembers what has been made, for doctor() to compare.
delete from rowqueue.blueprint;

insert into rowqueue.blueprint (object, definition)
select c.object, c.definition from rowqueue._catalogue() as c;
