"""A PostgreSQL server of one's own, in a data folder, shared by every process that uses the folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psycopg
from psycopg import sql

from send2llm.domain.errors import ConfigurationError, StoreUnavailable
from send2llm.infrastructure.postgres.cluster import Cluster
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.postgres.data_directory import default_data_dir
from send2llm.infrastructure.postgres.file_lock import FileLock
from send2llm.infrastructure.postgres.server_binaries import ServerBinaries

DATABASE = "send2llm"

_ATTEMPTS = 3

DURABLE_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        # A failed statement and its details can hold what people wrote; the log must not.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
)
"""The server's parameters. What it acknowledged survives a power cut."""


class EmbeddedPostgres:
    """The PostgreSQL server of a data folder, started by its first user and stopped by the last.

    Two locks in the folder carry this. ``postgres.usage.lock`` is held shared as long as a process uses the
    server; the operating system frees it when the process dies, however it dies. ``postgres.control.lock`` is
    held alone while somebody starts or stops the server. Who leaves, and then gets the usage lock alone, was
    the last and stops the server. After a ``kill -9`` the server may stay; the next process takes it over.

    The server listens on a Unix socket in a private folder only; who can reach it is trusted.
    Everything here blocks; on an event loop, call it with ``asyncio.to_thread``.
    A child made by ``os.fork`` without an ``exec`` counts as the same user, until both are gone.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        binaries: ServerBinaries | None = None,
        start_timeout: float = 300.0,
        stop_timeout: float = 60.0,
    ) -> None:
        """Prepare for ``data_dir`` (``default_data_dir()`` if None); nothing is created or started yet.

        ``settings`` are server parameters on top of ``DURABLE_SETTINGS``; a server that runs keeps its own.
        ``start_timeout`` and ``stop_timeout`` are seconds: a start takes less than one of them, except after
        a crash, when the server first replays its log.
        """
        self.data_dir = (data_dir or default_data_dir()).expanduser().resolve()
        self._cluster = Cluster(
            self.data_dir / "postgres",
            settings={**DURABLE_SETTINGS, **settings},
            binaries=binaries,
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
        )
        self._usage = FileLock(self.data_dir / "postgres.usage.lock")
        self._control = FileLock(self.data_dir / "postgres.control.lock")

    @property
    def connection_info(self) -> ConnectionInfo:
        """Where the database ``send2llm`` is, once ``start`` has returned."""
        return self._cluster.connection_info.with_database(DATABASE)

    def start(self) -> str:
        """Have the server run, count this process as one of its users, and give the DSN of its database.

        Called again it repairs: a server that died meanwhile is started anew.
        Raises ConfigurationError when the folder cannot serve, StoreUnavailable when there is no start.
        """
        self._make_data_dir()
        with self._control:
            if not self._usage.held:
                self._usage.acquire_shared()
            try:
                self._bring_up()
            except BaseException:  # also when it is cut off: who has no server is no user of it
                self._usage.release()
                raise
        return self.connection_info.dsn

    def stop(self) -> None:
        """Give the server up, and stop it unless others use it; harmless when it was not started here.

        Raises StoreUnavailable when the server resists.
        """
        if not self._usage.held:
            return
        with self._control:
            self._usage.release()
            if self._usage.try_acquire_exclusive():
                try:
                    self._cluster.stop()
                finally:
                    self._usage.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bring_up(self) -> None:
        for attempts_left in reversed(range(_ATTEMPTS)):
            if not self._cluster.is_running():
                self._cluster.start()
            try:
                _create_database(self.connection_info, self._cluster.connection_info)
            except psycopg.OperationalError as error:
                # The server may have died just now; then looking again helps.
                if not attempts_left:
                    raise StoreUnavailable(f"PostgreSQL in {self.data_dir} refuses to work: {error}") from error
            else:
                return

    def _make_data_dir(self) -> None:
        try:
            if not self.data_dir.exists():
                self.data_dir.mkdir(parents=True, exist_ok=True)
                # Root's server runs as another account, which must get through to its own folder inside.
                self.data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self.data_dir} cannot be made ({error.strerror}). "
                "Set SEND2LLM_DATA_DIR to a folder that you may write to."
            ) from error
        if os.geteuid() != 0 and self.data_dir.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"The data folder {self.data_dir} belongs to another user. "
                "Run Send2LLM as that user, or set SEND2LLM_DATA_DIR to a folder of your own."
            )


def _create_database(wanted: ConnectionInfo, maintenance: ConnectionInfo) -> None:
    with psycopg.connect(maintenance.dsn, autocommit=True, connect_timeout=30) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [wanted.dbname]).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(wanted.dbname)))
