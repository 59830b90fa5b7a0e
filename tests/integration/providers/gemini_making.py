"""Makes what the tests of the Gemini API need."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx2

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Delta, Parameters
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider

KEY = "AIza-test-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("gemini-3-pro", HI, Parameters(), UUID(int=1))


def gemini(base_url: str, transport: httpx2.AsyncBaseTransport | None = None, **config: Any) -> HttpProvider:
    made = make_provider(
        "gemini", ProviderConfig("google", base_url, **{"api_key": KEY, **config}, transport=transport)
    )
    assert isinstance(made, HttpProvider)
    return made


def call(*messages: Message, model: str = "gemini-3-pro", **parameters: Any) -> ProviderCall:
    return ProviderCall(model, messages or HI, Parameters(**parameters), UUID(int=1))


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def text_of(batches: list[Sequence[Delta]]) -> str:
    return "".join(delta.text for batch in batches for delta in batch)
