"""For each check a crime that it must notice, committed against the database or by a false word."""

from torture.crimes import enqueued, leases, others

CRIMES = {**enqueued.CRIMES, **leases.CRIMES, **others.CRIMES}

__all__ = ["CRIMES"]
