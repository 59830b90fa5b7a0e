"""A fake provider on the wire, and the adapter that calls it."""

from collections.abc import AsyncIterator

import pytest
from making import openai_compatible

from send2llm.infrastructure.providers.http_provider import HttpProvider
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
async def provider(base_url: str) -> AsyncIterator[HttpProvider]:
    provider = openai_compatible("acme", base_url, api_key=KEY)
    yield provider
    await provider.aclose()
