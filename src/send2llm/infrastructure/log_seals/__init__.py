"""Seals the log of events: a hash chain with signatures, in PostgreSQL."""
