"""Processes are alive while they hold their lock."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.process_registry import PostgresProcesses, RegisteredProcess
from send2llm.testing.eventually import eventually

_PROCESS = """
import sys, threading
from send2llm.infrastructure.postgres.process_registry import RegisteredProcess
with RegisteredProcess(sys.argv[1]) as process:
    print(process.name, flush=True)
    threading.Event().wait()
"""


async def test_alive_from_start_to_stop(migrated: ConnectionInfo, pool: AsyncConnectionPool) -> None:
    processes = PostgresProcesses(pool)
    process, other = RegisteredProcess(migrated.dsn), RegisteredProcess(migrated.dsn)
    assert process.name != other.name
    assert not await processes.is_alive(process.name)
    with process:
        assert process.held
        assert await processes.is_alive(process.name)
        assert not await processes.is_alive(other.name)
    assert not await processes.is_alive(process.name)


@pytest.fixture
def other(migrated: ConnectionInfo) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The name of another process that is registered, and the process."""
    with subprocess.Popen([sys.executable, "-c", _PROCESS, migrated.dsn], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


async def test_a_killed_process_is_dead_at_once(
    migrated: ConnectionInfo, pool: AsyncConnectionPool, other: tuple[str, subprocess.Popen[str]]
) -> None:
    processes, (name, process) = PostgresProcesses(pool), other
    assert await processes.is_alive(name)
    process.kill()
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        backends = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
        eventually(lambda: connection.execute(backends, (f"send2llm process {name[:8]}%",)).fetchone() is None)
    assert not await processes.is_alive(name)


async def test_the_lock_is_taken_again_after_the_connection_broke(
    migrated: ConnectionInfo, pool: AsyncConnectionPool
) -> None:
    processes = PostgresProcesses(pool)
    backends = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ 'process'"
    with RegisteredProcess(migrated.dsn) as process, psycopg.connect(migrated.dsn, autocommit=True) as connection:
        old = connection.execute(backends).fetchall()
        assert len(old) == 1
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", old[0])
        eventually(lambda: connection.execute(backends).fetchall() not in ([], old))
        eventually(lambda: process.held)
        assert await processes.is_alive(process.name)


def test_without_a_database_it_says_so(tmp_path: object) -> None:
    process = RegisteredProcess(ConnectionInfo(host=str(tmp_path), dbname="none", user="nobody").dsn)
    with pytest.raises(StoreUnavailable, match="cannot be registered"):
        process.start()


async def test_without_a_database_nobody_is_declared_dead(tmp_path: object) -> None:
    nowhere = ConnectionInfo(host=str(tmp_path), dbname="none", user="nobody")
    async with AsyncConnectionPool(nowhere.dsn, min_size=0, max_size=1, timeout=0.2, reconnect_timeout=0.1) as pool:
        with pytest.raises(StoreUnavailable):
            await PostgresProcesses(pool).is_alive("anybody")
