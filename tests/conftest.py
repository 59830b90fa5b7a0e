"""Fixtures for every test."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.postgres import TestDatabaseServer

# No test is about time, and a busy machine is no defect.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Ctrl-C reaches what tests start, also where a shell put the tests in the background, and so had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestDatabaseServer]:
    """The PostgreSQL server that all test processes share; commits are fast, not durable."""
    with TestDatabaseServer() as server:
        yield server


@pytest.fixture
def database(postgres_server: TestDatabaseServer) -> Iterator[ConnectionInfo]:
    """A fresh, empty database of the test's own."""
    info = postgres_server.create_database()
    yield info
    postgres_server.drop(info)
