"""What goes wrong at the provider becomes the exception that users of the official SDK expect."""

import asyncio

import httpx2
import openai
import pytest

from gateway import HELLO, MODEL, OVER_SOON, PROVIDER_KEY, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings, TimeoutSettings
from send2llm.testing.openai_server import (
    DONE,
    ErrorReply,
    FakeOpenAIServer,
    Reply,
    StreamReply,
    chunk,
    event,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [
    (ErrorReply(401, message=f"Incorrect API key: {PROVIDER_KEY}"), 502, "provider_authentication_failed", 1),
    (ErrorReply(403), 502, "provider_permission_denied", 1),
    (ErrorReply(404, code="model_not_found"), 404, "provider_model_not_found", 1),
    (ErrorReply(400, message="bad schema"), 400, "provider_rejected_request", 1),
    (ErrorReply(422), 400, "provider_rejected_request", 1),
    (ErrorReply(400, code="context_length_exceeded"), 400, "context_length_exceeded", 1),
    (ErrorReply(400, code="content_filter"), 400, "content_filter", 1),
    (ErrorReply(429, code="insufficient_quota"), 429, "provider_quota_exhausted", 1),
    (ErrorReply(429), 429, "provider_rate_limited", 2),
    (ErrorReply(500), 503, "provider_overloaded", 2),
    (ErrorReply(503), 503, "provider_overloaded", 2),
    (Reply(b"<html>", 502, content_type="text/html"), 503, "provider_overloaded", 2),
    (Reply(b"not json"), 502, "provider_malformed_reply", 2),
    (Reply(b"{}"), 502, "provider_malformed_reply", 2),
    (Reply(b'{"choices": []}'), 502, "provider_malformed_reply", 2),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("reply", "status", "code", "attempts"), CASES, ids=[f"{c[2]}-{c[0].status}" for c in CASES])
async def test_an_error_before_the_answer(
    gateway: Gateway, provider: FakeOpenAIServer, reply: Reply, status: int, code: str, attempts: int, stream: bool
) -> None:
    provider.script(*[reply] * 2)
    with pytest.raises(openai.APIStatusError) as caught:
        await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)

    assert caught.value.status_code == status
    assert caught.value.code == code
    assert caught.value.request_id
    assert PROVIDER_KEY not in str(caught.value)
    assert len(provider.requests) == attempts
    assert [one.data["error"] for one in await gateway.events("conversation.attempt_failed")] == [code] * attempts
    failed = await gateway.event("conversation.completion_failed")
    assert (failed.data["error"], failed.data["attempts"]) == (code, attempts)
    assert PROVIDER_KEY not in str(failed.data)


@pytest.mark.parametrize(
    ("reply", "exception"),
    [
        (ErrorReply(400, code="context_length_exceeded"), openai.BadRequestError),
        (ErrorReply(404, code="model_not_found"), openai.NotFoundError),
        (ErrorReply(429), openai.RateLimitError),
        (ErrorReply(401), openai.InternalServerError),
        (ErrorReply(500), openai.InternalServerError),
    ],
)
async def test_the_exception_is_the_sdks_own(
    gateway: Gateway, provider: FakeOpenAIServer, reply: Reply, exception: type[openai.APIStatusError]
) -> None:
    provider.script(reply, reply)
    with pytest.raises(exception):
        await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO)


async def test_a_transient_error_is_not_seen(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(ErrorReply(503), Reply.of("at last"))
    raw = await gateway.sdk.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.parse().choices[0].message.content == "at last"
    assert raw.headers["x-send2llm-attempts"] == "2"
    received = await gateway.event("conversation.completion_received")
    assert received.data["attempts"] == 2


async def test_the_providers_wish_for_a_pause_is_passed_on(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(ErrorReply(429, {"retry-after": "7"}))
    with pytest.raises(openai.RateLimitError) as caught:
        await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO)
    assert 7 <= int(caught.value.response.headers["retry-after"]) <= 8
    assert len(provider.requests) == 1  # so long a wait is the caller's to decide on


async def test_an_exhausted_quota_is_not_tried_again_by_the_sdk(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(*[ErrorReply(429, code="insufficient_quota")] * 4)
    with pytest.raises(openai.RateLimitError):
        await gateway.sdk.with_options(max_retries=2).chat.completions.create(model=MODEL, messages=HELLO)
    assert len(provider.requests) == 1


async def test_a_stream_that_breaks_in_the_middle(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    pieces = [event(chunk(role="assistant", content="one")), event(chunk(content=" two"))]
    provider.script(StreamReply(pieces, cut=True))
    stream = await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    said = [(await anext(stream)).choices[0].delta.content for _ in pieces]
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)

    assert said == ["one", " two"]
    assert caught.value.code == "provider_stream_broken"
    interrupted = await gateway.event("conversation.completion_interrupted")
    assert interrupted.data["reason"] == "provider_failed"
    assert interrupted.data["partial_text"] == "one two"
    assert interrupted.data["estimated_usage"]["output_tokens"] > 0
    assert "completion_received" not in await gateway.topics()
    assert len(provider.requests) == 1  # half of an answer is out: nobody else can go on with it


async def test_a_stream_that_ends_without_its_end(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(StreamReply([event(chunk(role="assistant", content="one"))]))
    with pytest.raises(openai.APIError):
        async for _ in await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
            pass
    assert (await gateway.event("conversation.completion_interrupted")).data["reason"] == "provider_failed"


async def test_an_error_event_in_the_middle(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    broken = event({"error": {"message": "overloaded", "type": "server_error", "code": "overloaded_error"}})
    provider.script(StreamReply([event(chunk(role="assistant", content="one")), broken, DONE]))
    with pytest.raises(openai.APIError) as caught:
        async for _ in await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
            pass
    assert caught.value.code == "provider_overloaded"
    assert (await gateway.event("conversation.completion_interrupted")).data["partial_text"] == "one"


async def test_a_stream_that_breaks_before_its_first_token_is_tried_again(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    provider.script(StreamReply([], cut=True), StreamReply.of("at last"))
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "at last"


async def test_the_next_candidate_of_a_route_takes_over(
    module_database: ConnectionInfo, provider_url: str, nowhere: str
) -> None:
    providers = {"down": ProviderSettings(base_url=nowhere), "fake": ProviderSettings(base_url=provider_url)}
    settings = settings_for(
        module_database, provider_url, providers=providers, routes={"best": ("down/a", f"fake/{MODEL}")}
    )
    async with serving(settings) as gateway:
        await gateway.forget()
        raw = await gateway.sdk.chat.completions.with_raw_response.create(model="best", messages=HELLO)
        assert raw.parse().choices[0].message.content == "Hello!"
        assert raw.headers["x-send2llm-provider"] == "fake"
        assert raw.headers["x-send2llm-attempts"] == str(OVER_SOON.attempts + 1)
        errors = [one.data["error"] for one in await gateway.events("conversation.attempt_failed")]
        assert errors == ["provider_connection_failed"] * OVER_SOON.attempts

        with pytest.raises(openai.InternalServerError) as caught:
            await gateway.sdk.chat.completions.create(model="down/a", messages=HELLO)
        assert caught.value.status_code == 502
        with pytest.raises(openai.NotFoundError) as unknown:
            await gateway.sdk.chat.completions.create(model="other", messages=HELLO)
        assert unknown.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_that_does_not_answer(
    module_database: ConnectionInfo, provider_url: str, provider: FakeOpenAIServer, stream: bool
) -> None:
    never = asyncio.Event()
    provider.script(*[StreamReply([never]) if stream else Reply.of(gate=never)] * OVER_SOON.attempts)
    settings = settings_for(module_database, provider_url, timeouts=TimeoutSettings(first_token=0.05, total=0.2))
    async with serving(settings) as gateway:
        await gateway.forget()
        with pytest.raises(openai.InternalServerError) as caught:
            await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
        assert caught.value.status_code == 504
        assert caught.value.code == "provider_timed_out"
        assert (await gateway.event("conversation.completion_failed")).data["error"] == "provider_timed_out"
    await provider.disconnected.wait()


async def test_a_stream_that_stalls(
    module_database: ConnectionInfo, provider_url: str, provider: FakeOpenAIServer
) -> None:
    provider.script(StreamReply([event(chunk(role="assistant", content="one")), asyncio.Event()]))
    settings = settings_for(module_database, provider_url, timeouts=TimeoutSettings(between_tokens=0.05))
    async with serving(settings) as gateway:
        await gateway.forget()
        with pytest.raises(openai.APIError) as caught:
            async for _ in await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
                pass
        assert caught.value.code == "provider_timed_out"
        assert (await gateway.event("conversation.completion_interrupted")).data["partial_text"] == "one"
    await provider.disconnected.wait()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_that_could_not_be_stored_is_none(
    gateway: Gateway, provider: FakeOpenAIServer, stream: bool
) -> None:
    """It is nested deeper than anything can be written, so it counts as malformed, and is asked for again."""
    conversation = await gateway.start_conversation()
    deep = b"[" * 600 + b"]" * 600
    begin = event(chunk(role="assistant", content="x", odd="DEEP")).replace(b'"DEEP"', deep)
    whole = Reply.of("x", odd="DEEP").body.replace(b'"DEEP"', deep)
    provider.script(StreamReply([begin, event(chunk("stop")), DONE]) if stream else Reply(whole))
    path, body = f"/api/conversations/{conversation}/messages", {"model": MODEL, "content": "hello", "stream": stream}

    assert (await gateway.api.post(path, json=body)).status_code == 200

    assert (await gateway.event("conversation.attempt_failed")).data["error"] == "provider_malformed_reply"
    assert (await gateway.event("conversation.completion_received")).data["attempts"] == 2


async def test_the_own_api_tells_it_as_a_problem(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    provider.script(ErrorReply(429, {"retry-after": "7"}))
    path, body = f"/api/conversations/{conversation}/messages", {"model": MODEL, "content": "hello"}
    response = await gateway.api.post(path, json=body)
    _assert_problem(response, 429, "provider_rate_limited")
    assert int(response.headers["retry-after"]) >= 7
    assert response.headers["x-send2llm-conversation-id"] == str(conversation)

    provider.script(ErrorReply(400, code="context_length_exceeded"))
    _assert_problem(await gateway.api.post(path, json={**body, "stream": True}), 400, "context_length_exceeded")

    # The same message again, after the failures: it is said once.
    answered = await gateway.api.post(path, json=body)
    assert answered.status_code == 200
    assert answered.headers["x-send2llm-conversation-id"] == str(conversation)
    assert answered.headers["x-send2llm-attempts"] == "1"
    shown = (await gateway.api.get(f"/api/conversations/{conversation}")).json()
    assert [one["role"] for one in shown["messages"]] == ["user", "assistant"]


async def test_the_own_api_tells_a_broken_stream_in_the_stream(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    provider.script(StreamReply([event(chunk(role="assistant", content="one"))], cut=True))
    response = await gateway.api.post(
        f"/api/conversations/{conversation}/messages", json={"model": MODEL, "content": "hello", "stream": True}
    )
    assert response.status_code == 200
    assert 'event: delta\ndata: {"text":"one"}\n\n' in response.text
    assert response.text.count("event: error\n") == 1
    assert '"code":"provider_stream_broken"' in response.text
    assert "event: done" not in response.text


def _assert_problem(response: httpx2.Response, status: int, code: str) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["status"], response.json()["code"]) == (status, status, code)
