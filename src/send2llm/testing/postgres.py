"""A PostgreSQL server for tests, with a database of its own for each test."""

import itertools
import os
import re
import tempfile
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psutil
import psycopg
from psycopg import sql

from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres, ServerBinaries

FAST_SETTINGS = MappingProxyType({"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"})
"""Commits that a power cut may take back: what tests need is speed. A killed process still loses nothing."""

_NUMBERS = itertools.count(1)
"""Of all databases that this process makes, by whichever of its servers: they are one and the same."""

_NAME = re.compile(r"test_(?P<pid>\d+)_\d+")


class TestDatabaseServer:
    """One server for all test processes of a user, in a stable folder under the temporary one.

    It starts with the first test process and stops with the last. The folder stays, so that the next run
    starts in a tenth of a second, and takes over the server and the databases of a run that was killed.
    """

    __test__ = False  # pytest: this is no test case

    def __init__(self, data_dir: Path | None = None, *, durable: bool = False) -> None:
        """Prepare for ``data_dir``; ``durable`` keeps the production settings, for tests of durability."""
        self._server = EmbeddedPostgres(
            data_dir or _shared_folder(), settings=MappingProxyType({}) if durable else FAST_SETTINGS
        )
        self._maintenance: psycopg.Connection | None = None

    def start(self) -> None:
        """Start or join the server, and drop databases that killed test processes left."""
        self._server.start()
        info = self._server.connection_info
        self._maintenance = psycopg.connect(info.with_database("postgres").dsn, autocommit=True)
        self._drop_left_behind()

    def stop(self) -> None:
        """Leave the server; the last to leave stops it."""
        if self._maintenance is not None:
            self._maintenance.close()
            self._maintenance = None
        self._server.stop()

    def create_database(self, template: ConnectionInfo | str | None = None) -> ConnectionInfo:
        """Make a fresh database: empty, or a copy of ``template``, to which nobody may be connected."""
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        source = template.dbname if isinstance(template, ConnectionInfo) else template or "template0"
        self._connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
        )
        return self._server.connection_info.with_database(name)

    def drop(self, database: ConnectionInfo | str) -> None:
        """Drop a database with all its connections; harmless when it is gone."""
        name = database.dbname if isinstance(database, ConnectionInfo) else database
        self._connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _connection(self) -> psycopg.Connection:
        if self._maintenance is None:
            raise RuntimeError("the test server was not started; use it as a context manager")
        return self._maintenance

    def _drop_left_behind(self) -> None:
        rows = self._connection.execute("SELECT datname FROM pg_database").fetchall()
        for (name,) in rows:
            match = _NAME.fullmatch(name)
            if match and not psutil.pid_exists(int(match["pid"])):
                self.drop(name)


def _shared_folder() -> Path:
    """Stable for one user and one major version of PostgreSQL.

    Not pytest's temporary folder: for root that is closed to the account which the server runs as.
    """
    version = ServerBinaries.installed().major_version
    return Path(tempfile.gettempdir()) / f"send2llm-tests-{os.geteuid()}-{version}"
