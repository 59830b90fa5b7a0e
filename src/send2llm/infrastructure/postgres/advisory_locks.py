"""Keys of PostgreSQL's advisory locks: one for each thing that only one session may do or be at a time.

PostgreSQL frees the locks of a session when it ends, however it ends. That needs a connection that stays with
its session; a pooler in transaction mode (pgbouncer) in between breaks them.
"""

from hashlib import blake2b


def advisory_key(kind: str, name: str) -> int:
    """The 64-bit key of the lock for ``name`` among those of one ``kind``, such as ``process``."""
    digest = blake2b(f"send2llm:{kind}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


HELD_KEYS = """
    SELECT (classid::bigint << 32) | objid::bigint AS key
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""The keys of all locks that sessions hold in this database. Looking takes no lock, so looking disturbs
nobody."""
