"""``POST /v1/responses``, judged by the official SDK, before providers that speak it and one that does not."""

import json
from typing import Any

import pytest
from openai import APIError, BadRequestError
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseTextDeltaEvent,
)
from openai_providers import ADA, ASKED, CHAT, NATIVE, WEATHER, Behind, Person, says

from gateway import MODEL, Gateway
from send2llm.testing import openai_server
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, chunk, completion
from send2llm.testing.responses_server import (
    FakeResponsesServer,
    Reply,
    StreamReply,
    events_of,
    function_call,
    message,
    reasoning,
    response,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_whole_answer(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, "Good day.")
    answer = await gateway.sdk.responses.create(model=model, input="hello", instructions="Be kind.", temperature=0.5)

    assert answer.output_text == "Good day."
    assert (answer.status, answer.error, answer.incomplete_details) == ("completed", None, None)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (9, 4, 13)
    assert answer.id.startswith("resp_")
    assert len(answer.id) == 5 + 64
    assert await gateway.topics() == ["started", *["message_added"] * 2, "completion_requested", "completion_received"]
    received = await gateway.event("conversation.completion_received")
    assert answer.id == "resp_" + received.stream.removeprefix("conversation-").replace("-", "") + received.data[
        "completion_id"
    ].replace("-", "")


async def test_what_a_chat_provider_is_asked(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    await gateway.sdk.responses.create(
        model=CHAT,
        instructions="Be kind.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Who?"}]},
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}],
            },
        ],
        tools=[WEATHER],  # type: ignore[list-item]
        tool_choice={"type": "function", "name": "weather"},
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low"},
        max_output_tokens=50,
        parallel_tool_calls=False,
        store=False,
        include=["reasoning.encrypted_content"],
        metadata={"a": "b"},
    )
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert provider.requests[0].json == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Who?"},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}],
            },
        ],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "reasoning_effort": "low",
        "max_tokens": 50,
        "parallel_tool_calls": False,
    }


async def test_what_a_native_provider_is_asked(gateway: Gateway, native: FakeResponsesServer) -> None:
    body = {
        "instructions": "Be kind.",
        "input": [
            {"type": "message", "role": "user", "content": "Who?"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_file", "file_id": "file_1"}],
            },
        ],
        "tools": [WEATHER, {"type": "web_search", "search_context_size": "low"}],
        "tool_choice": {"type": "web_search"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "truncation": "auto",
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "service_tier": "flex",
        "prompt_cache_key": "k",
    }
    await gateway.sdk.responses.create(model=NATIVE, **body)  # type: ignore[call-overload]
    include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert native.requests[0].json == {**body, "model": MODEL, "include": include, "store": False}


async def test_a_native_answer_is_passed_on_under_a_name_that_is_found_again(
    gateway: Gateway, native: FakeResponsesServer
) -> None:
    whole = response(
        reasoning("Hm.", encrypted="cipher"),
        message(
            "Hi", annotations=[{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}]
        ),
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
        something_new={"a": 1.5},
    )
    native.script(Reply.json(whole))
    raw = await gateway.api.post("/v1/responses", json={"model": NATIVE, "input": "hello"})
    given = raw.json()
    assert given == {**whole, "id": given["id"], "store": True}
    assert given["id"].startswith("resp_0")


async def test_a_native_stream_is_passed_on_byte_by_byte_but_for_its_name(
    gateway: Gateway, native: FakeResponsesServer
) -> None:
    whole = response(reasoning("Hm.", encrypted="cipher"), "one two", function_call("weather", ASKED))
    native.script(StreamReply.of(*whole["output"]))
    raw = await gateway.api.post("/v1/responses", json={"model": NATIVE, "input": "hello", "stream": True})
    assert raw.headers["content-type"].startswith("text/event-stream")
    given = [json.loads(block.partition("data: ")[2]) for block in raw.text.strip().split("\n\n")]

    names = {event["response"].pop("id") for event in given if "response" in event}
    assert len(names) == 1
    assert names.pop().startswith("resp_0")
    sent = events_of(whole)
    for event in sent:
        if "response" in event:
            event["response"] = {**event["response"], "store": True}
            event["response"].pop("id")
    assert given == sent


@pytest.mark.parametrize("helper", [False, True])
async def test_a_streamed_answer(gateway: Gateway, behind: Behind, helper: bool) -> None:
    model, provider = behind
    says(provider, "one two three", stream=True)
    texts: list[str] = []
    numbers: list[int] = []
    types: list[str] = []
    if helper:
        async with gateway.sdk.responses.stream(model=model, input="hello") as stream:
            async for event in stream:
                types.append(event.type)
                if event.type == "response.output_text.delta":
                    texts.append(event.delta)
                    assert event.snapshot == "".join(texts)
            final = await stream.get_final_response()
    else:
        async for one in await gateway.sdk.responses.create(model=model, input="hello", stream=True):
            types.append(one.type)
            numbers.append(one.sequence_number)
            if isinstance(one, ResponseTextDeltaEvent):
                texts.append(one.delta)
        assert isinstance(one, ResponseCompletedEvent)
        final = one.response  # type: ignore[assignment]
        assert numbers == list(range(len(numbers)))

    assert texts == ["one", " two", " three"]
    assert types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert final.output_text == "one two three"
    assert final.usage is not None
    assert final.usage.total_tokens == 13
    received = await gateway.event("conversation.completion_received")
    assert received.data["reported_usage"]["output_tokens"] == 4


async def test_structured_output(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, ADA)
    answer = await gateway.sdk.responses.parse(model=model, input="Who?", text_format=Person)

    assert answer.output_parsed == Person(name="Ada", age=36)
    sent = provider.requests[0].json
    wanted = sent["response_format"]["json_schema"] if model == CHAT else sent["text"]["format"]
    assert wanted["name"] == "Person"
    assert wanted["schema"]["properties"].keys() == {"name", "age"}
    assert wanted["strict"] is True


async def test_structured_output_streamed(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, ADA, stream=True)
    async with gateway.sdk.responses.stream(model=model, input="Who?", text_format=Person) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == Person(name="Ada", age=36)


async def test_what_a_chat_provider_cannot_say_is_refused_by_name(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    for field, value in {
        "tools": [{"type": "web_search"}],
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "prompt": {"id": "pmpt_1"},
    }.items():
        with pytest.raises(BadRequestError, match=field):
            await gateway.sdk.responses.create(model=CHAT, input="x", **{field: value})  # type: ignore[call-overload]
    with pytest.raises(BadRequestError, match="input_file"):
        await gateway.sdk.responses.create(
            model=CHAT, input=[{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]
        )
    assert not provider.requests


async def test_thoughts_and_refusals_of_a_chat_provider(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    body = completion(None, refusal="I will not.", reasoning_content="Should I?")
    provider.script(openai_server.Reply(json.dumps(body).encode()))
    answer = await gateway.sdk.responses.create(model=CHAT, input="do")

    thought, refusal = answer.output
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.summary[0].text == "Should I?"
    assert isinstance(refusal, ResponseOutputMessage)
    assert refusal.content[0].refusal == "I will not."  # type: ignore[union-attr]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_cut_short(gateway: Gateway, behind: Behind, stream: bool) -> None:
    model, provider = behind
    if model == NATIVE:
        fields: Any = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        provider.script(StreamReply.of("Once", **fields) if stream else Reply.json(response("Once", **fields)))
    elif stream:
        chunks = [chunk(role="assistant", content="Once"), chunk("length")]
        provider.script(openai_server.StreamReply([*map(openai_server.event, chunks), DONE]))
    else:
        provider.script(openai_server.Reply(json.dumps(completion("Once", finish_reason="length")).encode()))
    if stream:
        events = [one async for one in await gateway.sdk.responses.create(model=model, input="x", stream=True)]
        assert events[-1].type == "response.incomplete"
        answer = events[-1].response
    else:
        answer = await gateway.sdk.responses.create(model=model, input="x")
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text == "Once"


async def test_an_error_in_mid_stream(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    if model == NATIVE:
        whole = StreamReply.of("one two")
        provider.script(StreamReply(whole.pieces[:5], cut=True))
    else:
        provider.script(openai_server.StreamReply(openai_server.StreamReply.of("one two").pieces[:2], cut=True))
    types: list[str] = []

    async def listen() -> None:
        async for one in await gateway.sdk.responses.create(model=model, input="x", stream=True):
            types.append(one.type)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(APIError) as caught:
        await listen()
    assert caught.value.code == "provider_stream_broken"
    assert types[0] == "response.created"
    assert types[-1] == "response.failed"
    assert "response.output_text.delta" in types
