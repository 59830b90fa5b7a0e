"""A service with two providers behind it: one speaks OpenAI's format, the other Anthropic's."""

import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic

from gateway import MODEL, PROVIDER_KEY, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing.anthropic_server import MODEL as CLAUDE, FakeAnthropicServer, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_claude() -> FakeAnthropicServer:
    return FakeAnthropicServer()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claude_url(shared_claude: FakeAnthropicServer) -> AsyncIterator[str]:
    async with running(shared_claude, path="") as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None, all_logs: io.BytesIO, module_database: ConnectionInfo, provider_url: str, claude_url: str
) -> AsyncIterator[Gateway]:
    providers = {
        "fake": ProviderSettings(base_url=provider_url, api_key=PROVIDER_KEY, models=(MODEL,)),
        "claude": ProviderSettings(format="anthropic", base_url=claude_url, api_key=PROVIDER_KEY, models=(CLAUDE,)),
    }
    async with serving(settings_for(module_database, provider_url, providers=providers)) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def claude(shared_claude: FakeAnthropicServer) -> FakeAnthropicServer:
    """Anthropic, with no memory of earlier tests."""
    shared_claude.script()
    shared_claude.requests.clear()
    shared_claude.disconnected.clear()
    return shared_claude


@pytest_asyncio.fixture(loop_scope="module")
async def anthropic_sdk(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.address, api_key="none", max_retries=0) as sdk:
        yield sdk
