"""A service for all tests of a module: to start one for each would take longer than the tests.

What a test does stays, so it looks at what is new, and talks of its own things where it resends what was said.
"""

import io
import logging
import os
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


@pytest.fixture(scope="module")
def module_database(
    postgres_server: TestDatabaseServer, migrated_template: ConnectionInfo
) -> Iterator[ConnectionInfo]:
    info = postgres_server.create_database(migrated_template)
    yield info
    postgres_server.drop(info)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None, module_database: ConnectionInfo, provider_url: str
) -> AsyncIterator[Gateway]:
    async with serving(settings_for(module_database, provider_url)) as gateway:
        yield gateway


@pytest.fixture
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
def log_output() -> Iterator[io.BytesIO]:
    """All that is logged, at the most talkative level; logging is global to the process and put back afterwards."""
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
