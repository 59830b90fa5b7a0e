"""Embeddings over the wire; the official SDK is the judge of the fake."""

import base64
import json
import struct
from uuid import UUID

import openai
import pytest

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import EmbeddingParameters, Parameters, Usage
from send2llm.domain.errors import MalformedReply, Overloaded, RateLimited
from send2llm.domain.message import EmbeddingPart, ForeignPart, Message, TextPart
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer, Reply, embeddings, vector_of


def call(*texts: str, dimensions: int | None = None) -> ProviderCall:
    messages = [Message("user", (TextPart(text),)) for text in texts]
    return ProviderCall("e", messages, Parameters(embedding=EmbeddingParameters(dimensions)), UUID(int=1))


def unpacked(message: Message) -> list[list[float]]:
    vectors = [base64.b64decode(part.vector) for part in message.parts if isinstance(part, EmbeddingPart)]
    return [list(struct.unpack(f"<{len(vector) // 4}f", vector)) for vector in vectors]


async def test_texts_become_vectors(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    completion = await provider.embed(call("one two", "three", dimensions=4))

    assert unpacked(completion.answers[0].message) == [vector_of("one two", 4), vector_of("three", 4)]
    assert completion.usage == Usage(3)
    (request,) = server.requests
    assert request.path == "/v1/embeddings"
    assert request.json["encoding_format"] == "base64"


async def test_tokens_become_vectors(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    message = Message("user", (ForeignPart("openai", {"type": "tokens", "tokens": [7, 8]}),))

    completion = await provider.embed(ProviderCall("e", [message], Parameters(), UUID(int=1)))

    assert unpacked(completion.answers[0].message) == [vector_of([7, 8])]


async def test_a_server_may_answer_with_numbers(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    server.script(Reply.json(embeddings({"model": "e", "input": ["one"], "encoding_format": "float"})))

    completion = await provider.embed(call("one"))

    assert unpacked(completion.answers[0].message) == [vector_of("one")]


@pytest.mark.parametrize("given", [["one"], ["one", "two", "three"]])
async def test_another_number_of_vectors_is_malformed(
    server: FakeOpenAIServer, provider: HttpProvider, given: list[str]
) -> None:
    server.script(Reply.json(embeddings({"model": "e", "input": given})))

    with pytest.raises(MalformedReply, match=f"acme gave {len(given)} vectors for 2 inputs") as caught:
        await provider.embed(call("one", "two"))
    assert caught.value.provider == "acme"


async def test_errors_are_what_they_are_for_chat(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    server.script(ErrorReply(429, {"retry-after": "3"}), Reply(json.dumps({"error": {"message": "busy"}}).encode()))

    with pytest.raises(RateLimited) as limited:
        await provider.embed(call("one"))
    with pytest.raises(Overloaded, match="busy") as inside:
        await provider.embed(call("one"))

    assert (limited.value.provider, limited.value.retry_after) == ("acme", 3)
    assert inside.value.provider == "acme"


async def test_the_official_sdk_understands_the_fake(server: FakeOpenAIServer, base_url: str) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        found = await client.embeddings.create(model="e", input=["one", "two"], dimensions=4)
        plain = await client.embeddings.create(model="e", input="one", encoding_format="float")
        of_tokens = await client.embeddings.create(model="e", input=[7, 8])

    assert [entry.embedding for entry in found.data] == [vector_of("one", 4), vector_of("two", 4)]
    assert plain.data[0].embedding == vector_of("one")
    assert of_tokens.data[0].embedding == vector_of([7, 8])
    assert (found.model, found.usage.total_tokens) == ("e", 2)
