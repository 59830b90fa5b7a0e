"""The event store on PostgreSQL: the log that everything else is derived from."""
