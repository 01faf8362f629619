from support.shared import clock, shared_clock, shared_db, shared_dsn, tx

__all__ = ["clock", "shared_clock", "shared_db", "shared_dsn", "tx"]
