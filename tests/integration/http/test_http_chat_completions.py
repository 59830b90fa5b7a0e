"""``POST /v1/chat/completions``, judged by the official SDK."""

import asyncio
import json
from uuid import UUID

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from gateway import HELLO, MODEL, PROVIDER_KEY, Gateway
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, Reply, StreamReply, chunk, completion, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


async def test_a_whole_answer(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of("Good day."))
    answer = await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO)

    assert answer.choices[0].message.content == "Good day."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13
    assert await gateway.topics() == ["started", "message_added", "completion_requested", "completion_received"]
    sent = provider.requests[0]
    assert sent.json == {"model": MODEL, "messages": HELLO}
    assert sent.headers["authorization"] == f"Bearer {PROVIDER_KEY}"


async def test_the_body_is_the_providers_own(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    body = {**completion("Hi"), "service_tier": "flex", "x_groq": {"id": "7"}}
    provider.script(Reply(json.dumps(body).encode()))
    assert (await gateway.ask()).json() == body


async def test_a_streamed_answer(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(StreamReply.of("one two three"))
    stream = await gateway.sdk.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [one async for one in stream]

    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "one two three"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4
    received = await gateway.event("conversation.completion_received")
    assert received.data["reported_usage"]["output_tokens"] == 4
    assert received.data["time_to_first_token"] <= received.data["duration"]


async def test_usage_goes_only_to_callers_who_ask_and_is_recorded_anyway(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    stream = await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [one.usage async for one in stream if one.usage] == []
    assert provider.requests[0].json["stream_options"] == {"include_usage": True}
    received = await gateway.event("conversation.completion_received")
    assert received.data["reported_usage"] == {"input_tokens": 9, "output_tokens": 4}


async def test_the_end_of_a_stream_comes_after_its_outcome_is_stored(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    async with gateway.api.stream(
        "POST", "/v1/chat/completions", json={"model": MODEL, "messages": HELLO, "stream": True}
    ) as response:
        async for line in response.aiter_lines():
            if '"finish_reason": "stop"' in line:
                break
        assert "completion_received" in await gateway.topics()


async def test_the_synchronous_sdk(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of("whole"), StreamReply.of("in pieces"))

    def call() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{gateway.address}/v1", api_key="none", max_retries=0) as client:
            whole = client.chat.completions.create(model=MODEL, messages=HELLO)
            stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            pieces = "".join(one.choices[0].delta.content or "" for one in stream if one.choices)
            return whole.choices[0].message.content, pieces

    assert await asyncio.to_thread(call) == ("whole", "in pieces")


async def test_the_sdks_streaming_helper_puts_the_answer_together(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(StreamReply.of("one two three"))
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        kinds = [one.type async for one in stream]
        answer = await stream.get_final_completion()

    assert answer.choices[0].message.content == "one two three"
    assert kinds.count("content.delta") == 4  # the role comes first, with an empty text
    assert kinds[-1] == "content.done"


async def test_tools(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(
        Reply(json.dumps(completion(None, finish_reason="tool_calls", tool_calls=[CALL])).encode()),
        Reply.of("It rains."),
    )
    asked = [{"role": "user", "content": "How is the weather in Oslo?"}]
    first = await gateway.sdk.chat.completions.create(model=MODEL, messages=asked, tools=[WEATHER], tool_choice="auto")
    said = first.choices[0].message
    assert said.tool_calls is not None
    assert first.choices[0].finish_reason == "tool_calls"

    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "rain"}
    again = [*asked, said.model_dump(exclude_none=True), result]
    second = await gateway.sdk.chat.completions.with_raw_response.create(model=MODEL, messages=again, tools=[WEATHER])

    assert second.parse().choices[0].message.content == "It rains."
    sent = provider.requests[1].json
    assert sent["tools"] == [WEATHER]
    assert [{**one, "content": one.get("content")} for one in again] == sent["messages"]
    assert len({one.stream for one in await gateway.events()}) == 1  # the same conversation went on
    added = await gateway.events("conversation.message_added")
    assert [one.data["message"]["role"] for one in added] == ["user", "tool"]


async def test_streamed_tool_calls(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"city"', ': "Oslo"}')]
    deltas = [chunk(role="assistant", tool_calls=[begin]), *(chunk(tool_calls=[one]) for one in pieces)]
    provider.script(StreamReply([*(event(one) for one in deltas), event(chunk("tool_calls")), DONE]))
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=HELLO, tools=[WEATHER]) as stream:
        answer = await stream.get_final_completion()

    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"city": "Oslo"}'
    assert calls[0].function.parsed_arguments == {"city": "Oslo"}
    received = await gateway.event("conversation.completion_received")
    assert received.data["answers"][0]["message"]["parts"][0]["arguments"] == '{"city": "Oslo"}'


async def test_images(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    await gateway.sdk.chat.completions.create(model=MODEL, messages=messages)
    assert provider.requests[0].json["messages"] == messages


class Person(BaseModel):
    name: str
    age: int


async def test_structured_output(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of('{"name": "Ada", "age": 36}'), StreamReply.of('{"name": "Ada", "age": 36}'))
    answer = await gateway.sdk.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Person) as stream:
        streamed = await stream.get_final_completion()

    assert answer.choices[0].message.parsed == streamed.choices[0].message.parsed == Person(name="Ada", age=36)
    wanted = provider.requests[0].json["response_format"]
    assert wanted["json_schema"]["name"] == "Person"
    assert provider.requests[1].json["response_format"] == wanted


async def test_fields_that_nobody_here_knows_reach_the_provider(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    await gateway.sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hello", "cache_control": {"type": "ephemeral"}}],
        reasoning_effort="low",
        logit_bias={"50256": -100},
        extra_body={"top_k": 40, "chat_template_kwargs": {"enable_thinking": False}},
    )
    sent = provider.requests[0].json
    assert sent["messages"][0]["cache_control"] == {"type": "ephemeral"}
    assert (sent["reasoning_effort"], sent["logit_bias"], sent["top_k"]) == ("low", {"50256": -100}, 40)
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}


async def test_known_parameters_reach_the_provider_as_they_were_spelled(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    parameters = {"temperature": 0.5, "top_p": 1, "seed": 7, "stop": "END", "max_completion_tokens": 9, "n": 1}
    await gateway.ask(**parameters)
    sent = provider.requests[0].json
    assert {name: sent[name] for name in parameters} == parameters


async def test_several_answers_at_once(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    body = completion("first")
    second = {**body["choices"][0], "index": 1, "message": {"role": "assistant", "content": "second"}}
    provider.script(Reply(json.dumps({**body, "choices": [body["choices"][0], second]}).encode()))
    answer = await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, n=2)

    assert [one.message.content for one in answer.choices] == ["first", "second"]
    assert provider.requests[0].json["n"] == 2
    received = await gateway.event("conversation.completion_received")
    assert len(received.data["answers"]) == 2


async def test_several_streamed_answers_at_once(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    chunks = [
        chunk(index=0, role="assistant", content="fi"),
        chunk(index=1, role="assistant", content="sec"),
        chunk(index=0, content="rst"),
        chunk("stop", index=0),
        chunk(index=1, content="ond"),
        chunk("stop", index=1),
    ]
    provider.script(StreamReply([*(event(one) for one in chunks), DONE]))
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=HELLO, n=2) as stream:
        answer = await stream.get_final_completion()

    assert [one.message.content for one in answer.choices] == ["first", "second"]
    received = await gateway.event("conversation.completion_received")
    texts = [one["message"]["parts"][0]["text"] for one in received.data["answers"]]
    assert texts == ["first", "second"]


async def test_headers_tell_about_the_call(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    raw = await gateway.sdk.chat.completions.with_raw_response.create(model=f"fake/{MODEL}", messages=HELLO)
    headers = raw.headers
    assert UUID(headers["x-send2llm-conversation-id"])
    assert headers["x-send2llm-provider"] == "fake"
    assert headers["x-send2llm-model"] == MODEL
    assert headers["x-send2llm-attempts"] == "1"
    assert headers["x-send2llm-cache"] == "off"
    assert float(headers["x-send2llm-overhead-ms"]) >= 0
    assert headers["x-send2llm-request-id"] == headers["x-request-id"] == raw.request_id
    requested = await gateway.event("conversation.completion_requested")
    assert requested.meta["correlation_id"] == headers["x-request-id"]
    assert requested.stream.endswith(headers["x-send2llm-conversation-id"])


async def test_a_stream_has_the_headers_too(gateway: Gateway) -> None:
    async with gateway.sdk.chat.completions.with_streaming_response.create(
        model=MODEL, messages=HELLO, stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["x-send2llm-provider"] == "fake"
        assert UUID(raw.headers["x-request-id"])
        await raw.read()


async def test_the_trace_of_the_caller_is_kept(gateway: Gateway) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await gateway.sdk.chat.completions.create(
        model=MODEL, messages=HELLO, extra_headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    assert {one.meta["trace_id"] for one in await gateway.events()} == {trace}


async def test_many_callers_at_once(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.ask(messages=[{"role": "user", "content": f"{n}"}]) for n in range(50)))
    assert {one.status_code for one in answers} == {200}
    assert len({one.headers["x-send2llm-conversation-id"] for one in answers}) == 50
    assert len(await gateway.events("conversation.completion_received")) == 50


@pytest.mark.parametrize("path", ["/v1", ""])
async def test_the_base_url_may_lack_its_version(gateway: Gateway, path: str) -> None:
    async with AsyncOpenAI(base_url=gateway.address + path, api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
        assert answer.choices[0].message.content == "Hello!"
        assert [one.id async for one in client.models.list()] == [f"fake/{MODEL}"]
