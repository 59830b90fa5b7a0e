"""``POST /v1/responses``, judged by the official SDK, before providers that speak it and one that does not."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from openai import APIError, BadRequestError, NotFoundError
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseTextDeltaEvent,
)
from pydantic import BaseModel

from gateway import MODEL, PROVIDER_KEY, Gateway, database_of, serving, settings_for
from send2llm.infrastructure.formats.responses.names import response_id
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing import openai_server
from send2llm.testing.event_writer import EventWriter, turn as conversation_turn
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
    running,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, NATIVE = f"fake/{MODEL}", f"native/{MODEL}"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ASKED = '{"city": "Oslo"}'


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name": "Ada", "age": 36}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_native() -> FakeResponsesServer:
    return FakeResponsesServer(models=(MODEL,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None,
    all_logs: io.BytesIO,
    module_database: ConnectionInfo,
    provider_url: str,
    shared_native: FakeResponsesServer,
) -> AsyncIterator[Gateway]:
    async with running(shared_native) as native_url:
        providers = {
            "fake": ProviderSettings(base_url=provider_url, api_key=PROVIDER_KEY, models=(MODEL,)),
            "native": ProviderSettings(format="openai-responses", base_url=native_url, api_key=PROVIDER_KEY),
        }
        async with serving(settings_for(module_database, provider_url, providers=providers)) as gateway:
            yield gateway


@pytest.fixture(autouse=True)
def native(shared_native: FakeResponsesServer) -> FakeResponsesServer:
    shared_native.script()
    shared_native.requests.clear()
    return shared_native


def said(provider: FakeOpenAIServer | FakeResponsesServer, *, stream: bool, text: str) -> None:
    """Have the provider say a text."""
    if isinstance(provider, FakeResponsesServer):
        provider.script(StreamReply.of(text) if stream else Reply.json(response(text)))
    else:
        provider.script(openai_server.StreamReply.of(text) if stream else openai_server.Reply.of(text))


@pytest.fixture(params=[CHAT, NATIVE])
def behind(
    request: pytest.FixtureRequest, provider: FakeOpenAIServer, native: FakeResponsesServer
) -> tuple[str, FakeOpenAIServer | FakeResponsesServer]:
    """A model, and the provider that has it."""
    return request.param, provider if request.param == CHAT else native


Behind = tuple[str, FakeOpenAIServer | FakeResponsesServer]


async def test_a_whole_answer(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    said(provider, stream=False, text="Good day.")
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
    said(provider, stream=True, text="one two three")
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
    said(provider, stream=False, text=ADA)
    answer = await gateway.sdk.responses.parse(model=model, input="Who?", text_format=Person)

    assert answer.output_parsed == Person(name="Ada", age=36)
    sent = provider.requests[0].json
    wanted = sent["response_format"]["json_schema"] if model == CHAT else sent["text"]["format"]
    assert wanted["name"] == "Person"
    assert wanted["schema"]["properties"].keys() == {"name", "age"}
    assert wanted["strict"] is True


async def test_structured_output_streamed(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    said(provider, stream=True, text=ADA)
    async with gateway.sdk.responses.stream(model=model, input="Who?", text_format=Person) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == Person(name="Ada", age=36)


def called(provider: FakeOpenAIServer | FakeResponsesServer, *, stream: bool) -> None:
    """Have the provider call a tool, and then answer."""
    if isinstance(provider, FakeResponsesServer):
        items = (reasoning("Hm.", encrypted="cipher"), function_call("weather", ASKED, "call_1"))
        first: Any = StreamReply.of(*items) if stream else Reply.json(response(*items))
        second: Any = StreamReply.of("Cold.") if stream else Reply.json(response("Cold."))
    elif stream:
        function = {"name": "weather", "arguments": ""}
        begin = {"index": 0, "id": "call_1", "type": "function", "function": function}
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in (ASKED[:5], ASKED[5:])]
        chunks = [chunk(role="assistant", content=None), *(chunk(tool_calls=[one]) for one in (begin, *rest))]
        first = openai_server.StreamReply([*map(openai_server.event, [*chunks, chunk("tool_calls")]), DONE])
        second = openai_server.StreamReply.of("Cold.")
    else:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ASKED}}
        first = openai_server.Reply(
            json.dumps(completion(None, finish_reason="tool_calls", tool_calls=[call])).encode()
        )
        second = openai_server.Reply.of("Cold.")
    provider.script(first, second)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_loop_of_tools_by_previous_response_id(gateway: Gateway, behind: Behind, stream: bool) -> None:
    model, provider = behind
    called(provider, stream=stream)

    async def ask(**request: Any) -> Any:
        if not stream:
            return await gateway.sdk.responses.create(model=model, tools=[WEATHER], **request)
        async with gateway.sdk.responses.stream(model=model, tools=[WEATHER], **request) as events:
            return await events.get_final_response()

    first = await ask(input="The weather in Oslo?")
    call = next(item for item in first.output if isinstance(item, ResponseFunctionToolCall))
    assert (call.call_id, call.name, json.loads(call.arguments)) == ("call_1", "weather", {"city": "Oslo"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "-4 °C"}
    second = await ask(input=[result], previous_response_id=first.id)

    assert second.output_text == "Cold."
    assert second.previous_response_id == first.id
    told = provider.requests[1].json
    if model == CHAT:
        assert [one["role"] for one in told["messages"]] == ["user", "assistant", "tool"]
        assert told["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "-4 °C"}
    else:
        assert [item["type"] for item in told["input"]] == [
            "message", "reasoning", "function_call", "function_call_output",
        ]  # fmt: skip
        assert told["input"][1]["encrypted_content"] == "cipher"
        assert "previous_response_id" not in told
    assert len({one.stream for one in await gateway.events()}) == 1


async def test_a_loop_of_tools_that_tells_everything_again(gateway: Gateway, behind: Behind) -> None:
    """As clients do that want nothing kept: the conversation is found by what was said."""
    model, provider = behind
    called(provider, stream=False)
    items: list[Any] = [{"role": "user", "content": "The weather in Bergen?"}]
    first = await gateway.sdk.responses.create(model=model, input=items, store=False)
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": "call_1", "output": "rain"})
    second = await gateway.sdk.responses.create(model=model, input=items, store=False)

    assert second.output_text == "Cold."
    assert second.store is False  # type: ignore[attr-defined]
    assert len({one.stream for one in await gateway.events()}) == 1


async def test_two_ways_on_from_one_answer(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    first = await gateway.sdk.responses.create(model=model, input="one", instructions="old")
    second = await gateway.sdk.responses.create(model=model, input="two", previous_response_id=first.id)
    third = await gateway.sdk.responses.create(
        model=model, input="three", previous_response_id=first.id, instructions="new"
    )
    fourth = await gateway.sdk.responses.create(model=model, input="four", previous_response_id=second.id)

    assert third.output_text == fourth.output_text == "Hello!"

    def texts(number: int) -> list[str]:
        sent = provider.requests[number].json
        told = [one["content"] for one in sent.get("messages") or sent["input"]]
        flat = [one if isinstance(one, str) else one[0]["text"] for one in told]
        return [sent["instructions"], *flat] if "instructions" in sent else flat

    assert texts(0) == ["old", "one"]
    assert texts(1) == ["one", "Hello!", "two"]  # instructions hold for one answer
    assert texts(2) == ["new", "one", "Hello!", "three"]
    assert texts(3) == ["one", "Hello!", "two", "Hello!", "four"]


async def test_an_earlier_answer_and_the_header_must_name_one_conversation(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    first = await gateway.sdk.responses.with_raw_response.create(model=model, input="one")
    ask = {"model": model, "previous_response_id": first.parse().id}
    header = "x-send2llm-conversation-id"
    own = {header: first.headers[header]}
    second = await gateway.sdk.responses.with_raw_response.create(**ask, input="two", extra_headers=own)
    branch = await gateway.sdk.responses.with_raw_response.create(**ask, input="three", extra_headers=own)
    elsewhere = {header: await gateway.start_conversation()}
    with pytest.raises(BadRequestError) as caught:
        await gateway.sdk.responses.create(**ask, input="four", extra_headers=elsewhere)

    assert second.headers[header] == own[header] != branch.headers[header]
    assert caught.value.param == "previous_response_id"
    assert len(provider.requests) == 3
    sent = provider.requests[-1].body.decode()
    assert ("one" in sent, "two" in sent, "three" in sent) == (True, False, True)


async def test_an_answer_is_found_by_another_process(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    first = await gateway.sdk.responses.create(model=model, input="remember me")
    async with serving(gateway.settings) as other:
        second = await other.sdk.responses.create(model=model, input="and?", previous_response_id=first.id)
        again = await other.sdk.responses.retrieve(first.id)
    assert second.output_text == "Hello!"
    assert "remember me" in provider.requests[1].body.decode()
    assert again.output_text == first.output_text


@pytest.mark.parametrize("name", ["resp_1", "resp_" + "0" * 64, "chatcmpl-1", "resp_" + "z" * 64])
async def test_an_answer_that_was_never_given_is_named(gateway: Gateway, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await gateway.sdk.responses.create(model=CHAT, input="x", previous_response_id=name)
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")
    with pytest.raises(NotFoundError):
        await gateway.sdk.responses.retrieve(name)


async def test_an_answer_of_another_tenant_is_not_found(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation_id = uuid4()
    with EventWriter(database_of(gateway.settings)) as writer:
        writer.write(conversation_id, *(turn := conversation_turn("Our secret is 42.")), tenant="other")
    name = response_id(conversation_id, turn[-1].completion_id)
    asked = {"model": CHAT, "input": "What is it?"}
    header = {"x-send2llm-conversation-id": str(conversation_id)}

    created = await gateway.api.post("/v1/responses", json={**asked, "previous_response_id": name})
    continued = await gateway.api.post("/v1/responses", json=asked, headers=header)
    retrieved = await gateway.api.get(f"/v1/responses/{name}")
    listed = await gateway.api.get(f"/v1/responses/{name}/input_items")

    errors = [answer.json()["error"] for answer in (created, continued, retrieved, listed)]
    assert [answer.status_code for answer in (created, continued, retrieved, listed)] == [404] * 4
    assert {error["type"] for error in errors} == {"invalid_request_error"}
    assert (errors[0]["code"], errors[0]["param"]) == ("previous_response_not_found", "previous_response_id")
    assert "secret" not in "".join(map(str, errors))
    assert provider.requests == []
    assert await gateway.events("conversation.message_added") != []  # it is there, but not for this caller


@pytest.mark.parametrize("path", ["", "/cancel"])
async def test_whose_a_response_is_cannot_be_found_out_by_what_is_not_supported(gateway: Gateway, path: str) -> None:
    conversation_id = uuid4()
    with EventWriter(database_of(gateway.settings)) as writer:
        writer.write(conversation_id, *(turn := conversation_turn("Our secret is 43.")), tenant="other")
    names = [response_id(conversation_id, turn[-1].completion_id), response_id(uuid4(), uuid4())]

    method = "POST" if path else "DELETE"
    answers = [await gateway.api.request(method, f"/v1/responses/{name}{path}") for name in names]

    assert [answer.status_code for answer in answers] == [400, 400]
    texts = [answer.text.replace(name[:80], "NAME") for answer, name in zip(answers, names, strict=True)]
    assert texts[0] == texts[1]


async def test_a_response_is_told_again(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    called(provider, stream=False)
    given = await gateway.sdk.responses.create(
        model=model,
        input="The weather in Oslo?",
        instructions="Be brief.",
        tools=[WEATHER],  # type: ignore[list-item]
        metadata={"a": "b"},
        store=False,
        max_output_tokens=77,
    )
    told = await gateway.sdk.responses.retrieve(given.id)

    # Of what a provider gives in this very format, all that the domain has no word for is passed on, and not kept.
    same = None if model == CHAT else {"id", "object", "status", "store", "usage"}
    assert told.model_dump(include=same) == given.model_dump(include=same)
    assert told.output_text == given.output_text
    assert [item.id for item in told.output] == [item.id for item in given.output]


async def test_the_input_of_a_response(gateway: Gateway, behind: Behind) -> None:
    model, _ = behind
    first = await gateway.sdk.responses.create(model=model, input="one", instructions="Be brief.")
    second = await gateway.sdk.responses.create(
        model=model, input="two", instructions="Be brief.", previous_response_id=first.id
    )

    items = [item async for item in gateway.sdk.responses.input_items.list(second.id, order="asc", limit=2)]
    assert [item.type for item in items] == ["message"] * 3
    assert [item.content[0].text for item in items] == ["one", "Hello!", "two"]  # type: ignore[union-attr]
    assert len({item.id for item in items}) == 3
    latest = await gateway.sdk.responses.input_items.list(second.id)
    assert [item.id for item in latest.data] == [item.id for item in reversed(items)]
    assert items[1].id == first.output[0].id


async def test_what_is_not_supported_says_so(gateway: Gateway) -> None:
    given = await gateway.sdk.responses.create(model=CHAT, input="hello")
    with pytest.raises(BadRequestError, match="nothing is deleted"):
        await gateway.sdk.responses.delete(given.id)
    with pytest.raises(BadRequestError, match="close the connection"):
        await gateway.sdk.responses.cancel(given.id)
    with pytest.raises(BadRequestError) as caught:
        await gateway.sdk.responses.create(model=CHAT, input="x", background=True)
    assert caught.value.param == "background"
    with pytest.raises(BadRequestError, match="previous_response_id") as caught:
        await gateway.sdk.responses.create(model=CHAT, input="x", conversation="conv_1")
    assert caught.value.param == "conversation"


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


async def test_a_repeated_request_is_answered_from_the_record(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    headers = {"Idempotency-Key": f"again-{model}"}
    first = await gateway.sdk.responses.create(model=model, input="once", extra_headers=headers)
    again = await gateway.sdk.responses.create(model=model, input="once", extra_headers=headers)
    async with gateway.sdk.responses.stream(model=model, input="once", extra_headers=headers) as stream:
        streamed = await stream.get_final_response()

    assert first.id == again.id == streamed.id
    assert first.output_text == again.output_text == streamed.output_text
    assert len(provider.requests) == 1


async def test_embeddings_over_the_wire(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    reply = await gateway.sdk.embeddings.create(model=CHAT, input=["a", "b"], dimensions=3)
    floats = await gateway.sdk.embeddings.create(model=CHAT, input=["a", "b"], dimensions=3, encoding_format="float")

    assert [one.embedding for one in reply.data] == [one.embedding for one in floats.data]
    assert provider.requests[0].json["input"] == ["a", "b"]
    first, _ = await gateway.events("conversation.completion_received")
    assert [part["type"] for part in first.data["answers"][0]["message"]["parts"]] == ["embedding"] * 2
