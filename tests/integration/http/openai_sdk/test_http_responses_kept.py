"""Responses are found again: by other processes, by whoever they belong to, in full."""

from uuid import uuid4

import pytest
from openai import BadRequestError, NotFoundError
from openai_providers import CHAT, WEATHER, Behind, calls_a_tool_first

from gateway import Gateway, database_of, serving
from send2llm.infrastructure.formats.responses.names import response_id
from send2llm.testing.event_writer import EventWriter, turn as conversation_turn
from send2llm.testing.openai_server import FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    calls_a_tool_first(provider)
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
