"""The clone guard: a copy of a database runs no jobs until somebody says so."""
