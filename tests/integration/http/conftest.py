"""A service for all tests of a module: to start one for each would take longer than the tests.

What a test does stays, so it looks at what is new, and talks of its own things where it resends what was said.
"""

import io
import json
import logging
import os
import socket
import warnings
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog

from gateway import MODEL, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.telemetry.logging import configure_logging
from send2llm.testing.openai_server import FakeOpenAIServer, running
from send2llm.testing.postgres import TestDatabaseServer


@pytest.fixture(scope="module", autouse=True)
def clean_environment() -> Iterator[None]:
    """Whoever runs the tests may have a service of their own."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("SEND2LLM_")]:
            environment.delenv(name)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_provider() -> FakeOpenAIServer:
    return FakeOpenAIServer(models=(MODEL,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider_url(shared_provider: FakeOpenAIServer) -> AsyncIterator[str]:
    async with running(shared_provider) as url:
        yield url


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a provider that is down: the port is taken, so that nobody else gets it, and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def module_database(postgres_server: TestDatabaseServer, migrated_template: ConnectionInfo) -> Iterator[ConnectionInfo]:
    info = postgres_server.create_database(migrated_template)
    yield info
    postgres_server.drop(info)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None, all_logs: io.BytesIO, module_database: ConnectionInfo, provider_url: str
) -> AsyncIterator[Gateway]:
    async with serving(settings_for(module_database, provider_url)) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def provider(shared_provider: FakeOpenAIServer) -> FakeOpenAIServer:
    """The provider, with no memory of earlier tests."""
    shared_provider.script()
    shared_provider.requests.clear()
    shared_provider.disconnected.clear()
    return shared_provider


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(shared_gateway: Gateway, provider: FakeOpenAIServer) -> Gateway:
    """The service of the module, which tells only what happens in this test."""
    await shared_gateway.forget()
    return shared_gateway


@pytest.fixture
def expected_errors() -> frozenset[str]:
    """Events that a test's service may log as errors."""
    return frozenset()


@pytest.fixture(autouse=True)
def log(all_logs: io.BytesIO, expected_errors: frozenset[str]) -> Iterator[io.BytesIO]:
    """What the test logs, at the most talkative level; no test may make the service log an error unexpectedly."""
    all_logs.seek(0)
    all_logs.truncate()
    yield all_logs
    lines = [json.loads(line) for line in all_logs.getvalue().splitlines() if b'"level":"error"' in line]
    # When the fake provider breaks off in the middle, it is its server that complains.
    errors = [line for line in lines if "_Cut" not in {one["exc_type"] for one in line.get("exception", [])}]
    assert {line["event"] for line in errors} <= expected_errors, errors


@pytest.fixture(scope="module", autouse=True)
def all_logs() -> Iterator[io.BytesIO]:
    """Logging as in the service; it is global to the process, and put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    thresholds = {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    showwarning = warnings.showwarning
    output = io.BytesIO()
    configure_logging("debug", json=True, stream=output)
    structlog.configure(cache_logger_on_first_use=False)  # loggers of modules outlive this test
    yield output
    logging.captureWarnings(False)
    warnings.showwarning = showwarning
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(thresholds.get(name, logging.NOTSET))
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
