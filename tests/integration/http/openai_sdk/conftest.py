"""A service with both providers behind it."""

import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai_providers import CHAT, NATIVE

from gateway import MODEL, PROVIDER_KEY, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing.openai_server import FakeOpenAIServer
from send2llm.testing.responses_server import FakeResponsesServer, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_native() -> FakeResponsesServer:
    return FakeResponsesServer(models=(MODEL,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None,
    all_logs: io.BytesIO,
    module_database: ConnectionInfo,
    provider_url: str,
    shared_native: FakeResponsesServer,
) -> AsyncIterator[Gateway]:
    async with running(shared_native) as native_url:
        providers = {
            "fake": ProviderSettings(base_url=provider_url, api_key=PROVIDER_KEY, models=(MODEL,)),
            "native": ProviderSettings(format="openai-responses", base_url=native_url, api_key=PROVIDER_KEY),
        }
        async with serving(settings_for(module_database, provider_url, providers=providers)) as gateway:
            yield gateway


@pytest.fixture(autouse=True)
def native(shared_native: FakeResponsesServer) -> FakeResponsesServer:
    shared_native.script()
    shared_native.requests.clear()
    return shared_native


@pytest.fixture(params=[CHAT, NATIVE])
def behind(
    request: pytest.FixtureRequest, provider: FakeOpenAIServer, native: FakeResponsesServer
) -> tuple[str, FakeOpenAIServer | FakeResponsesServer]:
    """A model, and the provider that has it."""
    return request.param, provider if request.param == CHAT else native
