"""``POST /v1/embeddings``, judged by the official SDK, before a provider in memory."""

import base64
import contextlib
import struct
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from house import House
from openai import AsyncOpenAI, BadRequestError, InternalServerError, RateLimitError

from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import CompletionReceived, CompletionRequested
from send2llm.domain.errors import ConnectionFailed
from send2llm.domain.message import EmbeddingPart, ForeignPart, TextPart
from send2llm.infrastructure.formats.openai_embeddings.caller import OpenAIEmbeddingsFormat
from send2llm.interfaces.http.answering import AnswerEndpoint
from send2llm.interfaces.http.front import Front
from send2llm.testing.providers import FakeEmbeddingProvider, FakeProvider, answer, vector_of

MODEL = "fake/embedder"
SAID = answer("", usage=Usage(input_tokens=7), response_model="embedder-1")


class NobodyCounts:
    def request_ended(self, method: str, route: str | None, status: int) -> None:
        """Nobody asks."""


def before(house: House) -> Front:
    format_ = OpenAIEmbeddingsFormat()
    endpoint = AnswerEndpoint(format_, house.sender, 10**6, contextlib.nullcontext)
    return Front(
        endpoint,
        dict.fromkeys(format_.paths, endpoint),
        api_key=None,
        max_body_bytes=10**6,
        identifiers=house.identifiers,
        observer=NobodyCounts(),
    )


@pytest.fixture
def house() -> House:
    return House(providers=[FakeEmbeddingProvider("fake", SAID)])


@pytest.fixture
async def sdk(house: House) -> AsyncIterator[AsyncOpenAI]:
    transport = httpx2.ASGITransport(before(house))
    async with AsyncOpenAI(
        base_url="http://service/v1",
        api_key="none",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    ) as client:
        yield client


async def test_a_text_becomes_a_vector(sdk: AsyncOpenAI, house: House) -> None:
    reply = await sdk.embeddings.create(model=MODEL, input="hello")  # the SDK asks for base64, and decodes it

    assert [one.embedding for one in reply.data] == [[5.0, 0.5]]
    assert (reply.model, reply.usage.prompt_tokens, reply.usage.total_tokens) == ("embedder-1", 7, 7)
    assert house.topics == ["started", "message_added", "completion_requested", "completion_received"]


async def test_several_texts_keep_their_order(sdk: AsyncOpenAI, house: House) -> None:
    reply = await sdk.embeddings.create(model=MODEL, input=["a", "four", "no"], encoding_format="float")

    assert [(one.index, one.embedding) for one in reply.data] == [(0, [1.0, 0.5]), (1, [4.0, 0.5]), (2, [2.0, 0.5])]
    (message,) = house.provider.calls[0].messages
    assert message.parts == (TextPart("a"), TextPart("four"), TextPart("no"))


@pytest.mark.parametrize(("tokens", "lengths"), [([1, 2, 3], [3.0]), ([[1, 2], [3]], [2.0, 1.0])])
async def test_tokens_instead_of_texts(sdk: AsyncOpenAI, house: House, tokens: Any, lengths: list[float]) -> None:
    reply = await sdk.embeddings.create(model=MODEL, input=tokens)

    assert [one.embedding[0] for one in reply.data] == lengths
    parts = house.provider.calls[0].messages[0].parts
    assert all(isinstance(part, ForeignPart) and part.body["type"] == "tokens" for part in parts)


async def test_what_is_wanted_reaches_the_provider(sdk: AsyncOpenAI, house: House) -> None:
    await sdk.embeddings.create(model=MODEL, input="a", dimensions=2, user="ada", extra_body={"truncate": "END"})

    parameters = house.provider.calls[0].parameters
    assert parameters.embedding is not None
    assert parameters.embedding.dimensions == 2
    assert (parameters.format, parameters.extras) == ("openai", {"user": "ada", "truncate": "END"})


async def test_base64_is_handed_over_as_it_is_stored(sdk: AsyncOpenAI, house: House) -> None:
    raw = await sdk.embeddings.with_raw_response.create(model=MODEL, input="hello", encoding_format="base64")

    encoded = raw.http_response.json()["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (5.0, 0.5)
    (stored,) = house.last(CompletionReceived).answers
    assert stored.message.parts == (EmbeddingPart(encoded),)
    assert encoded == vector_of(TextPart("hello"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "a"}, "model"),
        ({"model": MODEL}, "input"),
        ({"model": MODEL, "input": []}, "input"),
        ({"model": MODEL, "input": 7}, "input"),
        ({"model": MODEL, "input": ["a", 7]}, "input.1"),
        ({"model": MODEL, "input": ["a", []]}, "input.1"),
        ({"model": MODEL, "input": [1, "a"]}, "input.1"),
        ({"model": MODEL, "input": [[1, True]]}, "input.0.1"),
        ({"model": MODEL, "input": "a", "dimensions": "2"}, "dimensions"),
        ({"model": MODEL, "input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
async def test_what_is_wrong_is_named(sdk: AsyncOpenAI, house: House, body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        await sdk.post("/embeddings", body=body, cast_to=object)
    assert caught.value.param == param
    assert not house.provider.calls


async def test_it_goes_into_no_conversation(sdk: AsyncOpenAI) -> None:
    headers = {"x-send2llm-conversation-id": "01a2092b-7ebc-7284-a565-7c8b4558eee2"}
    with pytest.raises(BadRequestError, match="leave x-send2llm-conversation-id out"):
        await sdk.embeddings.create(model=MODEL, input="a", extra_headers=headers)


async def test_errors_have_openais_shape(sdk: AsyncOpenAI, house: House) -> None:
    house.provider.script(ConnectionFailed("No connection."))
    with pytest.raises(InternalServerError) as caught:
        await sdk.embeddings.create(model=MODEL, input="a")
    assert caught.value.code == "provider_connection_failed"


async def test_a_provider_without_embeddings_says_so(sdk: AsyncOpenAI) -> None:
    house = House(providers=[FakeProvider("fake")])
    transport = httpx2.ASGITransport(before(house))
    with pytest.raises(BadRequestError, match="has no embeddings"):
        await sdk.with_options(http_client=httpx2.AsyncClient(transport=transport)).embeddings.create(
            model=MODEL, input="a"
        )


async def test_a_repeated_request_is_answered_from_the_record(sdk: AsyncOpenAI, house: House) -> None:
    headers = {"idempotency-key": "once"}
    first = await sdk.embeddings.create(model=MODEL, input=["a", "bb"], extra_headers=headers)
    again = await sdk.embeddings.with_raw_response.create(model=MODEL, input=["a", "bb"], extra_headers=headers)

    assert again.parse() == first
    assert again.headers["x-send2llm-replayed"] == "true"
    assert len(house.provider.calls) == 1


async def test_a_budget_holds_the_texts_and_nothing_for_an_answer(sdk: AsyncOpenAI, house: House) -> None:
    await house.budget("1")
    await sdk.embeddings.create(model=MODEL, input="a" * 1000)

    requested = house.last(CompletionRequested)
    assert requested.output_limit == 0
    assert Decimal("0.003") < requested.hold_usd < Decimal("0.01")  # 3 USD for a million, and at most a token a byte
    assert house.provider.calls[0].parameters.max_output_tokens is None
    assert house.last(CompletionReceived).cost_usd == Decimal("0.000021")


async def test_a_budget_that_is_too_small_refuses(sdk: AsyncOpenAI, house: House) -> None:
    await house.budget("0.003")
    with pytest.raises(RateLimitError) as caught:
        await sdk.embeddings.create(model=MODEL, input="a" * 1000)
    assert caught.value.code == "budget_exceeded"
    assert not house.provider.calls


async def test_tokens_are_bounded_by_their_number(sdk: AsyncOpenAI, house: House) -> None:
    await house.budget("1")
    await sdk.embeddings.create(model=MODEL, input="")
    nothing = house.last(CompletionRequested).hold_usd
    await sdk.embeddings.create(model=MODEL, input=[100_000] * 1000)
    assert house.last(CompletionRequested).hold_usd - nothing == Decimal("0.003")
