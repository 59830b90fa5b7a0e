"""The fake Ollama speaks the real format: Ollama's own client is the judge."""

from collections.abc import Iterator

import ollama
import pytest

from send2llm.testing.ollama_server import (
    ErrorReply,
    FakeOllamaServer,
    Reply,
    StreamReply,
    answer,
    answer_lines,
    call,
    line,
    running_in_thread,
)

HI = [{"role": "user", "content": "Hi", "images": ["iVBORw0KGgo="]}]
MESSAGE = {"thinking": "hm hm", "content": "one two", "tool_calls": [call("call_1", "look", {"at": "ü"})]}


@pytest.fixture
def server() -> FakeOllamaServer:
    return FakeOllamaServer()


@pytest.fixture
def client(server: FakeOllamaServer) -> Iterator[ollama.Client]:
    with running_in_thread(server, "") as base_url, ollama.Client(base_url) as made:
        yield made


def test_a_whole_reply(server: FakeOllamaServer, client: ollama.Client) -> None:
    server.script(Reply.json(answer(MESSAGE)))

    reply = client.chat("fake-model", HI, think=True, options={"num_predict": 5})

    assert (reply.message.thinking, reply.message.content) == ("hm hm", "one two")
    assert reply.message.tool_calls is not None
    assert reply.message.tool_calls[0].function.arguments == {"at": "ü"}
    assert (reply.done, reply.done_reason) == (True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (9, 4)
    assert server.requests[0].json["messages"][0]["images"] == ["iVBORw0KGgo="]


def test_a_stream(server: FakeOllamaServer, client: ollama.Client) -> None:
    server.script(StreamReply(answer_lines(MESSAGE)))

    lines = list(client.chat("fake-model", HI, stream=True))

    assert "".join(one.message.content or "" for one in lines) == "one two"
    assert "".join(one.message.thinking or "" for one in lines) == "hm hm"
    assert [made.function.name for one in lines for made in one.message.tool_calls or []] == ["look"]
    assert (lines[-1].done, lines[-1].eval_count) == (True, 4)


def test_errors_are_what_the_client_knows(server: FakeOllamaServer, client: ollama.Client) -> None:
    lines = answer_lines(MESSAGE)
    server.script(ErrorReply(404, "model 'x' not found"), StreamReply([lines[0], line({"error": "boom"})]))

    with pytest.raises(ollama.ResponseError, match="model 'x' not found") as caught:
        client.chat("x", HI)
    with pytest.raises(ollama.ResponseError, match="boom"):
        list(client.chat("fake-model", HI, stream=True))

    assert caught.value.status_code == 404


def test_embeddings_and_models(client: ollama.Client) -> None:
    reply = client.embed("fake-embed", ["abc", "d"])

    assert reply.embeddings == [[3.0, 0.5], [1.0, 0.5]]
    assert reply.prompt_eval_count == 2
    assert [model.model for model in client.list().models] == ["fake-model:latest"]
