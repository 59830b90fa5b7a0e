"""A fake provider on the wire, and the adapter that calls it."""

from collections.abc import AsyncIterator

import pytest

from send2llm.infrastructure.providers.openai_compatible import OpenAICompatibleProvider
from send2llm.testing.openai_server import FakeOpenAIServer, running

KEY = "sk-test-0123456789"


@pytest.fixture
async def server() -> FakeOpenAIServer:
    return FakeOpenAIServer()


@pytest.fixture
async def base_url(server: FakeOpenAIServer) -> AsyncIterator[str]:
    async with running(server) as url:
        yield url


@pytest.fixture
async def provider(base_url: str) -> AsyncIterator[OpenAICompatibleProvider]:
    provider = OpenAICompatibleProvider("acme", base_url, api_key=KEY)
    yield provider
    await provider.aclose()
