"""What others' tools say of the SQL, the migrations and the dependencies: see `__main__`."""
