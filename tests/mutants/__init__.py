"""The SQL with one guard taken out at a time, and the tests that must notice."""
