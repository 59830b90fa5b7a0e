"""One active runner for each projection, among however many processes.

The lease is an advisory lock of the very session that commits the runner's work. Whoever dies, hangs up or is
cut off loses both at once: there is no moment when a former holder can still commit.
"""

from sqlalchemy import Connection, bindparam, text

from send2llm.infrastructure.postgres.advisory_locks import advisory_key
from send2llm.infrastructure.projections.checkpoints import BuildKey

_TRY_FOR_NOW = text("SELECT pg_try_advisory_xact_lock(:key)")
_TRY = text("SELECT pg_try_advisory_lock(:key)").bindparams(bindparam("key"))


def lease_key(name: str, version: int, build: int = 1) -> int:
    """The key of the lock that the active runner of a build holds."""
    return advisory_key("projection", f"{name}:{version}" if build == 1 else f"{name}:{version}:{build}")


def take_lease(connection: Connection, key: BuildKey) -> bool:
    """Take the lease for the life of the session, unless another session has it."""
    lock = lease_key(key.name, key.version, key.build)
    taken = bool(connection.execute(_TRY, {"key": lock}).scalar_one())
    connection.commit()
    return taken


def nobody_works_on(connection: Connection, key: BuildKey) -> bool:
    """Whether no session has the lease; nobody can take it before the transaction ends."""
    lock = lease_key(key.name, key.version, key.build)
    return bool(connection.execute(_TRY_FOR_NOW, {"key": lock}).scalar_one())
