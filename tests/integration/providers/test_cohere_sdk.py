"""The fake Cohere speaks the real format: Cohere's ``ClientV2`` is the judge."""

from collections.abc import Iterator

import cohere
import pytest
from cohere.core.request_options import RequestOptions

from send2llm.testing.cohere_server import (
    ErrorReply,
    FakeCohereServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
    call,
    running_in_thread,
)

HI = [{"role": "user", "content": "Hi"}]
ONCE = RequestOptions(max_retries=0)
MESSAGE = {
    "content": [{"type": "thinking", "thinking": "hm hm"}, {"type": "text", "text": "one two"}],
    "tool_plan": "I will look",
    "tool_calls": [call("look_1", "look", '{"at": "ü"}')],
    "citations": [{"start": 0, "end": 3, "text": "one", "sources": [{"type": "tool", "id": "look_1:0"}]}],
}


@pytest.fixture
def server() -> FakeCohereServer:
    return FakeCohereServer()


@pytest.fixture
def client(server: FakeCohereServer) -> Iterator[cohere.ClientV2]:
    with running_in_thread(server, "") as base_url, cohere.ClientV2("key", base_url=base_url) as made:
        yield made


def test_a_whole_reply(server: FakeCohereServer, client: cohere.ClientV2) -> None:
    server.script(Reply.json(answer(MESSAGE)))

    reply = client.chat(model="command-a", messages=HI)  # type: ignore[arg-type]

    assert [block.type for block in reply.message.content or []] == ["thinking", "text"]
    assert reply.message.tool_plan == "I will look"
    assert reply.message.tool_calls is not None
    assert reply.message.tool_calls[0].function is not None
    assert reply.message.tool_calls[0].function.arguments == '{"at": "ü"}'
    assert reply.message.citations is not None
    assert reply.message.citations[0].text == "one"
    assert reply.finish_reason == "TOOL_CALL"
    assert reply.usage is not None
    assert reply.usage.billed_units is not None
    assert reply.usage.billed_units.input_tokens == 9
    assert server.requests[0].path == "/v2/chat"


def test_a_stream(server: FakeCohereServer, client: cohere.ClientV2) -> None:
    server.script(StreamReply(answer_events(MESSAGE)))

    events = list(client.chat_stream(model="command-a", messages=HI))  # type: ignore[arg-type]

    by_kind = {event.type: event for event in events}
    texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]  # type: ignore[union-attr]
    assert "".join(text or "" for text in texts) == "one two"
    assert by_kind["tool-call-start"].delta.message.tool_calls.function.name == "look"  # type: ignore[union-attr]
    assert by_kind["tool-plan-delta"].delta.message.tool_plan == " look"  # type: ignore[union-attr]
    assert by_kind["citation-start"].delta.message.citations.text == "one"  # type: ignore[union-attr]
    end = by_kind["message-end"].delta  # type: ignore[union-attr]
    assert (end.finish_reason, end.usage.billed_units.output_tokens) == ("TOOL_CALL", 4)  # type: ignore[union-attr]


def test_errors_are_what_the_sdk_knows(server: FakeCohereServer, client: cohere.ClientV2) -> None:
    server.script(ErrorReply(429, "slow down"), ErrorReply(400, "invalid request"))

    with pytest.raises(cohere.TooManyRequestsError, match="slow down"):
        client.chat(model="command-a", messages=HI, request_options=ONCE)  # type: ignore[arg-type]
    with pytest.raises(cohere.BadRequestError):
        client.chat(model="command-a", messages=HI, request_options=ONCE)  # type: ignore[arg-type]


def test_embeddings_and_models(client: cohere.ClientV2) -> None:
    reply = client.embed(model="embed-v4.0", texts=["abc"], input_type="search_query", embedding_types=["float"])

    assert reply.embeddings.float_ == [[3.0, 0.5]]
    assert reply.meta is not None
    assert reply.meta.billed_units is not None
    assert reply.meta.billed_units.input_tokens == 1
    assert [model.name for model in client.models.list().models] == ["command-fake"]
