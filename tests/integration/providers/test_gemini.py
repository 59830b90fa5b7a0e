"""The Gemini API on the wire: what is sent, and what becomes of the answers."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from gemini_making import CALL, HI, KEY, call, gemini, streamed, text_of

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import EmbeddingParameters, Parameters, Usage
from send2llm.domain.errors import (
    ConfigurationError,
    MalformedReply,
    ModelNotAvailable,
    RequestRejected,
)
from send2llm.domain.message import EmbeddingPart, Message, TextPart, ToolResultPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.gemini_server import (
    FakeGeminiServer,
    Reply,
    StreamReply,
    running,
)


@pytest.fixture
async def server() -> FakeGeminiServer:
    return FakeGeminiServer()


@pytest.fixture
async def provider(server: FakeGeminiServer) -> AsyncIterator[HttpProvider]:
    async with running(server, "/v1beta") as base_url:
        provider = gemini(base_url)
        yield provider
        await provider.aclose()


# What is sent


async def test_a_call_is_sent_as_the_sdk_would(server: FakeGeminiServer, provider: HttpProvider) -> None:
    completion = await provider.complete(call(temperature=0.5, max_output_tokens=9))

    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1beta/models/gemini-3-pro:generateContent", "")
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9},
    }
    assert completion.answers[0].message.text == "Hello!"
    assert (completion.usage, completion.format) == (Usage(9, 4), "gemini")
    assert json.loads(completion.body)["responseId"] == completion.response_id == "fake-response"


async def test_a_stream_is_asked_for_as_server_sent_events(server: FakeGeminiServer, provider: HttpProvider) -> None:
    assert text_of(await streamed(provider)) == "Hello!"

    (request,) = server.requests
    assert (request.path, request.query) == ("/v1beta/models/gemini-3-pro:streamGenerateContent", "alt=sse")


@pytest.mark.parametrize("version", ["/v1beta", "/v1", ""])
async def test_both_versions_of_the_api_may_be_named(server: FakeGeminiServer, version: str) -> None:
    async with running(server, version) as base_url:
        provider = gemini(base_url)
        await provider.complete(CALL)
        assert list(await provider.models()) == ["gemini-fake-1"]
        await provider.aclose()

    assert server.requests[0].path == f"{version or '/v1beta'}/models/gemini-3-pro:generateContent"
    assert (server.requests[1].path, server.requests[1].query) == (f"{version or '/v1beta'}/models", "pageSize=1000")


async def test_events_keep_their_bytes(server: FakeGeminiServer, provider: HttpProvider) -> None:
    reply = StreamReply.of("Grüße an alle")
    server.script(StreamReply([b": hold on\r\n\r\n", *reply.pieces]))

    batches = await streamed(provider)

    assert b"".join(delta.raw or b"" for batch in batches for delta in batch) == b"".join(reply.pieces)  # type: ignore[arg-type]
    assert text_of(batches) == "Grüße an alle"


async def test_a_loop_with_tools_gives_gemini_its_signatures_back(
    server: FakeGeminiServer, provider: HttpProvider
) -> None:
    part = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "U2ln"}
    server.script(Reply.of("", part))
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    answer = (await provider.complete(call(tools=(tool,)))).answers[0]
    (tool_call,) = answer.message.tool_calls
    result = Message("tool", (ToolResultPart(tool_call.id, "2"),))
    await provider.complete(call(*HI, answer.message, result, tools=(tool,)))

    assert answer.finish_reason == "tool_calls"
    assert server.requests[1].json["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": tool_call.id, "name": "f", "args": {"x": 1}},
                    "thoughtSignature": "U2ln",
                }
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": tool_call.id, "name": "f", "response": {"output": "2"}}}],
        },
    ]


async def test_cached_and_thought_tokens_are_counted(server: FakeGeminiServer, provider: HttpProvider) -> None:
    usage = {
        "promptTokenCount": 50,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 75,
    }
    server.script(Reply.of(usage=usage), StreamReply.of("a b c", usage=usage), Reply.of(usage=None))

    expected = Usage(50, 25, cache_read_input_tokens=40, reasoning_output_tokens=20)
    assert (await provider.complete(CALL)).usage == expected
    assert [d.usage for batch in await streamed(provider) for d in batch if d.usage] == [expected]
    assert (await provider.complete(CALL)).usage is None


@pytest.mark.parametrize("model", ["../files/x", "a/b", "gemini:delete", "models/../x", "", "a?b=c", "a\n", "ä"])
async def test_names_that_are_none_become_no_address(
    server: FakeGeminiServer, provider: HttpProvider, model: str
) -> None:
    for ask in (
        provider.complete(call(model=model)),
        provider.embed(call(model=model)),
        provider.count_tokens(call(model=model)),
    ):
        with pytest.raises(ModelNotAvailable, match="name of a model"):
            await ask
    assert server.requests == []


async def test_tuned_models_have_their_own_place(server: FakeGeminiServer, provider: HttpProvider) -> None:
    await provider.complete(call(model="tunedModels/mine-1"))
    await provider.complete(call(model="models/gemini-3-pro"))

    assert [request.path.rpartition("/v1beta/")[2] for request in server.requests] == [
        "tunedModels/mine-1:generateContent",
        "models/gemini-3-pro:generateContent",
    ]


async def test_what_gemini_cannot_say_is_not_sent(server: FakeGeminiServer, provider: HttpProvider) -> None:
    with pytest.raises(RequestRejected, match="logit_bias") as caught:
        await provider.complete(call(extras={"logit_bias": {"7": 1}}))

    assert caught.value.provider == "google"
    assert server.requests == []


# Embeddings and counts


async def test_a_hundred_texts_are_embedded_at_once(server: FakeGeminiServer, provider: HttpProvider) -> None:
    wanted = Parameters(embedding=EmbeddingParameters(2, "search_document"))
    texts = [Message("user", (TextPart(str(place)),)) for place in range(101)]

    completion = await provider.embed(ProviderCall("gemini-embedding-001", texts, wanted, UUID(int=1)))

    first, second = server.requests
    assert first.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert (len(first.json["requests"]), len(second.json["requests"])) == (100, 1)
    assert second.json["requests"] == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "100"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
            "outputDimensionality": 2,
        }
    ]
    parts = completion.answers[0].message.parts
    assert len(parts) == 101
    assert isinstance(parts[0], EmbeddingPart)
    assert b64decode(parts[0].vector) == b"\x00\x00\x00\x3f\x00\x00\x80\xbe"


async def test_a_missing_vector_is_noticed(server: FakeGeminiServer, provider: HttpProvider) -> None:
    server.script(Reply.json({"embeddings": [{"values": [1]}]}))

    with pytest.raises(MalformedReply, match="1 vectors for 2 inputs"):
        await provider.embed(call(*HI, *HI))


async def test_tokens_are_counted_with_tools_and_instructions(server: FakeGeminiServer, provider: HttpProvider) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    counted = await provider.count_tokens(call(Message("system", (TextPart("Be brief."),)), *HI, tools=(tool,)))

    assert counted == 7
    (request,) = server.requests
    assert request.path == "/v1beta/models/gemini-3-pro:countTokens"
    assert request.json == {
        "generateContentRequest": {
            "model": "models/gemini-3-pro",
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }
    }


async def test_a_count_that_is_none_is_malformed(server: FakeGeminiServer, provider: HttpProvider) -> None:
    server.script(Reply.json({"totalTokens": "many"}), Reply.json({}))

    with pytest.raises(MalformedReply, match="no number"):
        await provider.count_tokens(CALL)
    assert await provider.count_tokens(CALL) == 0


# Configuration


def test_a_key_is_needed_at_google() -> None:
    with pytest.raises(ConfigurationError, match="GOOGLE_API_KEY"):
        make_provider("gemini", ProviderConfig("google"))
    with pytest.raises(ConfigurationError, match="no option"):
        make_provider("gemini", ProviderConfig("google", api_key=KEY, options={"project": "x"}))


async def test_an_address_of_ones_own_may_do_without_a_key(server: FakeGeminiServer) -> None:
    async with running(server, "/v1beta") as base_url:
        provider = gemini(base_url, api_key=None, headers={"Authorization": "Bearer mine"})
        await provider.complete(CALL)
        await provider.aclose()

    assert server.requests[0].headers["authorization"] == "Bearer mine"
    assert "x-goog-api-key" not in server.requests[0].headers
