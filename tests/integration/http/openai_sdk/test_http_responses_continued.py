"""Going on from an earlier response: by its id, or by telling everything again."""

import json
from typing import Any

import pytest
from openai import BadRequestError
from openai.types.responses import (
    ResponseFunctionToolCall,
)
from openai_providers import CHAT, WEATHER, Behind, calls_a_tool_first

from gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_loop_of_tools_by_previous_response_id(gateway: Gateway, behind: Behind, stream: bool) -> None:
    model, provider = behind
    calls_a_tool_first(provider, stream=stream)

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
    calls_a_tool_first(provider)
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
