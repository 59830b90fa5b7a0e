"""OpenAI's responses over the wire: what is asked, errors, broken streams; the official SDK judges the fake."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from making import made
from openai import AsyncOpenAI, RateLimitError

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import ImagePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.responses_server import (
    USAGE,
    ErrorReply,
    FakeResponsesServer,
    Reply,
    StreamReply,
    event,
    events_of,
    function_call,
    message,
    reasoning,
    response,
    running,
)

KEY = "sk-provider-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("fake-model", HI, Parameters(), UUID(int=1))


@pytest.fixture
async def server() -> FakeResponsesServer:
    return FakeResponsesServer(models=("fake-model",))


@pytest.fixture
async def base_url(server: FakeResponsesServer) -> AsyncIterator[str]:
    async with running(server) as url:
        yield url


@pytest.fixture
async def provider(base_url: str) -> AsyncIterator[HttpProvider]:
    provider = made("openai-responses", "acme", base_url, api_key=KEY)
    yield provider
    await provider.aclose()


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> Completion:
    builder = CompletionBuilder()
    async for batch in provider.stream(call):
        for delta in batch:
            builder.add(delta)
    return builder.completion()


async def asked(provider: HttpProvider, *, stream: bool) -> Completion:
    return await (streamed(provider) if stream else provider.complete(CALL))


# What is asked


async def test_a_conversation_of_other_providers_goes_on_here(
    server: FakeResponsesServer, provider: HttpProvider
) -> None:
    history = [
        Message("system", (TextPart("Be brief."),)),
        Message("user", (TextPart("What is it?"), ImagePart("https://a/b.png"))),
        Message(
            "assistant",
            (ReasoningPart("hm", "sig"), TextPart("Let me see."), ToolCallPart("toolu_1", "f", "{}")),
            format="anthropic",
        ),
        Message("tool", (ToolResultPart("toolu_1", "42"),)),
    ]
    answer = await provider.complete(ProviderCall("fake-model", history, Parameters(), UUID(int=1)))

    assert answer.answers[0].message.text == "Hello!"
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/responses")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {
        "model": "fake-model",
        "input": [
            {"type": "message", "role": "system", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is it?"},
                    {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"},
                ],
            },
            {"type": "message", "role": "assistant", "content": "Let me see."},
            {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "42"},
        ],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_thought_goes_back_to_it(server: FakeResponsesServer, provider: HttpProvider, stream: bool) -> None:
    output = [reasoning("One.", "Two.", encrypted="cipher"), function_call("f", "{}")]
    server.script(StreamReply.of(*output) if stream else Reply.json(response(*output)))
    answer = await asked(provider, stream=stream)
    history = [*HI, answer.answers[0].message, Message("tool", (ToolResultPart("call_1", "42"),))]
    await provider.complete(ProviderCall("fake-model", history, Parameters(), UUID(int=1)))

    assert [one.text for one in answer.answers[0].message.parts if isinstance(one, ReasoningPart)] == ["One.", "Two."]
    told = server.requests[1].json["input"]
    call = {name: value for name, value in output[1].items() if name != "status"}
    assert told[1:3] == [output[0], call]


async def test_a_provider_may_keep_what_it_says(server: FakeResponsesServer, base_url: str) -> None:
    provider = made("openai-responses", "acme", base_url, options={"store": True})
    await provider.complete(CALL)
    assert server.requests[0].json["store"] is True
    assert "include" not in server.requests[0].json
    await provider.aclose()


async def test_azure_is_asked_under_its_own_address(server: FakeResponsesServer) -> None:
    async with running(server, "/openai/v1") as url:
        provider = made("openai-responses", "azure", f"{url}?api-version=preview", headers={"api-key": KEY})
        await provider.complete(CALL)
        await provider.aclose()
    (request,) = server.requests
    assert (request.path, request.query) == ("/openai/v1/responses", "api-version=preview")
    assert request.headers["api-key"] == KEY


async def test_models_are_listed(provider: HttpProvider) -> None:
    assert await provider.models() == ["fake-model"]


def test_it_needs_an_address() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        make_provider("openai-responses", ProviderConfig("acme"))


# What comes


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_is_exact(server: FakeResponsesServer, provider: HttpProvider, stream: bool) -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }
    server.script(StreamReply.of("Hi", usage=usage) if stream else Reply.json(response("Hi", usage=usage)))
    assert (await asked(provider, stream=stream)).usage == Usage(100, 50, 60, 10, 20)

    server.script(StreamReply.of("Hi", usage=None) if stream else Reply.json(response("Hi", usage=None)))
    assert (await asked(provider, stream=stream)).usage is None


async def test_comments_and_an_end_mark_of_other_servers_do_not_matter(
    server: FakeResponsesServer, provider: HttpProvider
) -> None:
    pieces = [piece for one in events_of(response("Hi there")) for piece in (b": keep-alive\n\n", event(one))]
    server.script(StreamReply([*pieces, b"data: [DONE]\n\n"]))
    assert (await streamed(provider)).answers[0].message.text == "Hi there"


async def test_a_server_that_does_not_stream_is_understood(server: FakeResponsesServer, provider: HttpProvider) -> None:
    server.script(Reply.json(response("Hi")))
    assert (await streamed(provider)).answers[0].message.text == "Hi"


# Errors


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ErrorReply(400, message="Bad.", type="invalid_request_error", param="input"), RequestRejected),
        (ErrorReply(400, code="context_length_exceeded"), ContextLengthExceeded),
        (ErrorReply(400, code="content_filter"), ContentFiltered),
        (ErrorReply(401, code="invalid_api_key"), AuthenticationFailed),
        (ErrorReply(404, code="model_not_found"), ModelNotAvailable),
        (ErrorReply(404, code="DeploymentNotFound"), ModelNotAvailable),
        (ErrorReply(429, {"retry-after": "7"}, code="rate_limit_exceeded"), RateLimited),
        (ErrorReply(500, code="server_error"), Overloaded),
        (ErrorReply(503), Overloaded),
        (Reply(b"<html><title>Bad gateway</title></html>", 502, content_type="text/html"), Overloaded),
        (Reply(b"{", 200), MalformedReply),
        (Reply(b"[]", 200), MalformedReply),
        (Reply.json({"object": "response"}), MalformedReply),
        (Reply.json(response({"type": "function_call", "name": "f"})), MalformedReply),
        (Reply.json(response(status="failed", error={"code": "server_error", "message": "no"})), Overloaded),
        (Reply.json(response(status="failed", error={"code": "rate_limit_exceeded", "message": "no"})), RateLimited),
        (Reply.json(response(status="failed", error={"code": "invalid_prompt", "message": "no"})), RequestRejected),
        (Reply.json(response(status="failed", error={"code": "invalid_image_url", "message": "no"})), RequestRejected),
        (Reply.json(response(status="cancelled")), Overloaded),
    ],
)
async def test_errors_are_told_apart(
    server: FakeResponsesServer, provider: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    server.script(reply)
    with pytest.raises(ProviderError) as caught:
        await asked(provider, stream=stream)
    assert type(caught.value) is kind
    assert caught.value.provider == "acme"
    if kind is RateLimited and reply.status == 429:
        assert caught.value.retry_after == 7


FAILED = {"code": "server_error", "message": "It broke."}


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ({"type": "response.failed", "response": response(status="failed", error=FAILED)}, Overloaded),
        ({"type": "error", "code": "server_error", "message": "It broke.", "param": None}, Overloaded),
        ({"type": "error", "error": {"type": "server_error", "code": None, "message": "It broke."}}, Overloaded),
        ({"type": "error", "code": "context_length_exceeded", "message": "Too long."}, ContextLengthExceeded),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slowly."}}, RateLimited),
        (
            {"type": "response.failed", "response": response(status="failed", error={"code": "bio_policy"})},
            ContentFiltered,
        ),
        ({"type": "response.failed"}, Overloaded),
        ({"type": "response.completed", "response": 5}, MalformedReply),
        ({"type": 5}, MalformedReply),
        ({}, MalformedReply),
    ],
)
async def test_an_error_inside_a_stream(
    server: FakeResponsesServer, provider: HttpProvider, last: dict[str, Any], kind: type[ProviderError]
) -> None:
    begun = [event(one) for one in events_of(response("one two"))[:6]]
    server.script(StreamReply([*begun, b"data: " + json.dumps(last).encode() + b"\n\n"]))
    came: list[str] = []

    async def listen() -> None:
        async for batch in provider.stream(CALL):
            came.extend(delta.text for delta in batch)

    with pytest.raises(ProviderError) as caught:
        await listen()
    assert type(caught.value) is kind
    assert "".join(came) == "one two"


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("length", [0, 1, 3, 5, 8])
async def test_a_stream_without_its_last_event_is_broken(
    server: FakeResponsesServer, provider: HttpProvider, length: int, cut: bool
) -> None:
    server.script(StreamReply(StreamReply.of("one two").pieces[:length], cut=cut))
    with pytest.raises(StreamBroken):
        await streamed(provider)


_wrong = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3), st.just([]), st.just({}))
_whole = response(
    reasoning("Hm."),
    message("one two", annotations=[{"type": "file_path", "file_id": "f", "index": 0}]),
    function_call("f", '{"x": 1}'),
    {"id": "ws_1", "type": "web_search_call", "status": "completed"},
    usage=USAGE,
)


def _spoiled(body: Any, data: st.DataObject) -> Any:
    """The same with a wrong value somewhere, or something left out."""
    if isinstance(body, dict) and body and data.draw(st.integers(0, 3)):
        name = data.draw(st.sampled_from(sorted(body)))
        if data.draw(st.integers(0, 4)) == 0:
            return {key: value for key, value in body.items() if key != name}
        return {**body, name: _spoiled(body[name], data)}
    if isinstance(body, list) and body and data.draw(st.integers(0, 3)):
        place = data.draw(st.integers(0, len(body) - 1))
        return [*body[:place], _spoiled(body[place], data), *body[place + 1 :]]
    return data.draw(_wrong)


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)


@FUZZ
@given(st.data())
def test_no_reply_does_harm(data: st.DataObject) -> None:
    _asked_of(Reply.json(_spoiled(_whole, data)), stream=False)


@FUZZ
@given(st.data())
def test_no_stream_does_harm(data: st.DataObject) -> None:
    events = events_of(_whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(events) - 1))
        match data.draw(st.sampled_from(["spoil", "drop", "double", "move"])):
            case "spoil":
                events[place] = _spoiled(events[place], data)
            case "drop":
                del events[place]
            case "double":
                events.insert(place, events[place])
            case "move":
                events.insert(data.draw(st.integers(0, len(events) - 1)), events.pop(place))
    _asked_of(StreamReply([b"data: " + json.dumps(one).encode() + b"\n\n" for one in events]), stream=True)


def _asked_of(reply: Reply | StreamReply, *, stream: bool) -> None:
    """An answer with a cost that can be, or a clear error."""

    async def ask() -> None:
        async with running(FakeResponsesServer(reply)) as url:
            provider = made("openai-responses", "acme", url)
            try:
                answer = await asked(provider, stream=stream)
                assert answer.usage is None or 0 <= answer.usage.input_tokens + answer.usage.output_tokens <= 40
            except ProviderError as error:
                assert error.provider == "acme"  # noqa: PT017 - either is well
            finally:
                await provider.aclose()

    asyncio.run(ask())


# The judge


async def test_the_official_sdk_understands_the_fake(server: FakeResponsesServer, base_url: str) -> None:
    output = [reasoning("Hm."), message("Look"), function_call("f", "{}")]
    server.script(Reply.json(response(*output)), StreamReply.of(*output), ErrorReply(429, code="rate_limit_exceeded"))
    async with AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0) as sdk:
        whole = await sdk.responses.create(model="m", input="Hi")
        async with sdk.responses.stream(model="m", input="Hi") as stream:
            types = [one.type async for one in stream]
            final = await stream.get_final_response()
        with pytest.raises(RateLimitError):
            await sdk.responses.create(model="m", input="Hi")
        assert [one.id async for one in sdk.models.list()] == ["fake-model"]
    assert whole.output_text == final.output_text == "Look"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] == "response.completed"
