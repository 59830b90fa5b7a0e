"""Seals the log as it grows, beside the projections: calls never wait for it."""

import threading
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from send2llm.domain.log_seals import Seal
from send2llm.infrastructure.log_seals.raw_events import raw_events_after
from send2llm.infrastructure.log_seals.sealing import seal_events
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.log_seals.tables import last_seal, store
from send2llm.infrastructure.postgres.advisory_locks import advisory_key
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION, NOTICE_VANISHED_CLIENT
from send2llm.infrastructure.projections.failures import reason_of

log = structlog.get_logger(__name__)

BLOCK = 1000
"""Events under one seal at most."""

SEAL_EVERY = 10.0
"""Seconds after which events are sealed though there are fewer."""

RETRY_EVERY = 5.0

_TRY = text("SELECT pg_try_advisory_lock(:key)")
_LEASE = advisory_key("log sealer", "")


class LogSealer:
    """One seals, however many processes run one: whoever has the lease, which ends with its session."""

    def __init__(self, database: ConnectionInfo, key: SealingKey, *, seal_every: float = SEAL_EVERY) -> None:
        self._engine: Engine = create_engine(
            database.sqlalchemy_url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={**LASTING_SESSION, "application_name": "send2llm log sealer"},
        )
        self._key = key
        self._seal_every = seal_every

    def run(self, stop: threading.Event) -> None:
        """Seal until told to stop."""
        while not stop.is_set():
            try:
                with self._engine.connect() as connection:
                    self._take_turn(connection, stop)
            except Exception as error:  # noqa: BLE001 - a supervisor: whatever it was, another try may succeed
                log.warning("log_sealer.interrupted", reason=reason_of(error))
                stop.wait(RETRY_EVERY)

    def _take_turn(self, connection: Connection, stop: threading.Event) -> None:
        with connection.begin():
            connection.execute(text(NOTICE_VANISHED_CLIENT))
        while not self._has_lease(connection):
            if stop.wait(self._seal_every):
                return
        while not stop.is_set():
            began = time.monotonic()
            while self.seal_next(connection) == BLOCK and not stop.is_set():
                pass
            stop.wait(max(0.0, began + self._seal_every - time.monotonic()))

    @staticmethod
    def _has_lease(connection: Connection) -> bool:
        with connection.begin():
            return bool(connection.execute(_TRY, {"key": _LEASE}).scalar_one())

    def seal_next(self, connection: Connection) -> int:
        """Seal what has come since the last seal, ``BLOCK`` events at most; gives how many that were."""
        with connection.begin():
            before = last_seal(connection)
            events = raw_events_after(connection, before.last_position if before else 0, BLOCK)
            if events:
                seal = seal_events(events, before, _chain(before), self._key, datetime.now(UTC))
                store(connection, seal)
                log.debug("log_sealer.sealed", number=seal.number, events=seal.events)
        return len(events)


def _chain(before: Seal | None) -> UUID:
    """The id of the chain, chosen with its first seal."""
    return uuid4() if before is None else before.chain
