"""A fake Cohere on the wire: chat, its events, embeddings and models.

::

    server = FakeCohereServer()
    async with running(server, "") as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(429, "slow down"))

Wire format: https://docs.cohere.com/v2/reference/. Cohere's ``ClientV2`` is content with it.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

from send2llm.testing import provider_server
from send2llm.testing.provider_server import (
    Behaviour,
    Body,
    FakeProviderServer,
    RecordedRequest,
    running,
    running_in_thread,
)

__all__ = [
    "USAGE",
    "ErrorReply",
    "FakeCohereServer",
    "Reply",
    "StreamReply",
    "answer",
    "answer_events",
    "call",
    "event",
    "running",
    "running_in_thread",
]

USAGE: Body = {
    "billed_units": {"input_tokens": 9, "output_tokens": 4},
    "tokens": {"input_tokens": 209, "output_tokens": 6},
    "cached_tokens": 0,
}


class Reply(provider_server.Reply):
    """A whole reply."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE, gate: asyncio.Event | None = None) -> "Reply":
        """A reply that says ``text``."""
        return cls(json.dumps(answer({"content": [_text(text)]}, usage=usage)).encode(), gate=gate)


class StreamReply(provider_server.StreamReply):
    """A stream of events."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        return cls(answer_events({"content": [_text(text)]}, usage=usage))


def ErrorReply(status: int, message: str = "no", **headers: str) -> Reply:  # noqa: N802 - reads as a kind of reply
    """An error as Cohere sends it."""
    return Reply(json.dumps({"id": "fake-error", "message": message}).encode(), status, headers)


def call(identifier: str, name: str, arguments: str) -> Body:
    """A tool call."""
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(message: Body, *, usage: Body | None = USAGE, reason: str | None = None, identifier: str = "fake") -> Body:
    """The body of a whole reply; of ``message`` only what it says is needed."""
    body = {
        "id": identifier,
        "message": {"role": "assistant", **message},
        "finish_reason": reason or _usual_reason(message),
    }
    return body if usage is None else {**body, "usage": usage}


def answer_events(
    message: Body, *, usage: Body | None = USAGE, reason: str | None = None, identifier: str = "fake"
) -> list[bytes]:
    """The events of a whole answer: texts word by word, arguments in two halves."""
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events = [event("message-start", id=identifier, delta={"message": begun})]
    for index, block in enumerate(message.get("content") or []):
        events += _block_events(index, block)
    for word in _words(message.get("tool_plan", "")):
        events.append(event("tool-plan-delta", delta={"message": {"tool_plan": word}}))
    for index, made in enumerate(message.get("tool_calls") or []):
        events += _call_events(index, made)
    for index, citation in enumerate(message.get("citations") or []):
        events.append(event("citation-start", index=index, delta={"message": {"citations": citation}}))
        events.append(event("citation-end", index=index))
    end: Body = {"finish_reason": reason or _usual_reason(message)}
    return [*events, event("message-end", delta=end if usage is None else {**end, "usage": usage})]


def event(kind: str, **fields: Any) -> bytes:
    """A server-sent event of that kind."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _block_events(index: int, block: Body) -> Iterator[bytes]:
    field = block["type"]
    begun = {"type": field, field: ""}
    yield event("content-start", index=index, delta={"message": {"content": begun}})
    for word in _words(block[field]):
        yield event("content-delta", index=index, delta={"message": {"content": {field: word}}})
    yield event("content-end", index=index)


def _call_events(index: int, made: Body) -> Iterator[bytes]:
    function = made["function"]
    begun = {**made, "function": {"name": function["name"], "arguments": ""}}
    yield event("tool-call-start", index=index, delta={"message": {"tool_calls": begun}})
    for half in (function["arguments"][:3], function["arguments"][3:]):
        if half:
            piece = {"function": {"arguments": half}}
            yield event("tool-call-delta", index=index, delta={"message": {"tool_calls": piece}})
    yield event("tool-call-end", index=index)


def _text(text: str) -> Body:
    return {"type": "text", "text": text}


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [word for word in (first, *(f" {other}" for other in others)) if word]


def _usual_reason(message: Body) -> str:
    return "TOOL_CALL" if message.get("tool_calls") else "COMPLETE"


class FakeCohereServer(FakeProviderServer):
    """Answers ``/v2/chat`` and ``/v2/embed`` with the scripted behaviours in turn, and ``/v1/models``.

    It turns down whoever has no key. Without a script it says "Hello!", and embeds every text as its length.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("command-fake",)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models, and what is wrong with a request."""
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return ErrorReply(401, "no api key supplied")
        if request.path == "/v1/models":
            return Reply.json({"models": [{"name": name, "endpoints": ["chat"]} for name in self.models]})
        if request.path not in ("/v2/chat", "/v2/embed"):
            return ErrorReply(404, f"{request.path} not found")
        return None

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or lengths of texts."""
        body = request.json
        if request.path == "/v2/chat":
            return StreamReply.of() if body.get("stream") else Reply.of()
        texts = body["texts"]
        return Reply.json(
            {
                "id": "fake-embed",
                "response_type": "embeddings_by_type",
                "texts": texts,
                "embeddings": {"float": [[float(len(text)), 0.5] for text in texts]},
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": len(texts)}},
            }
        )
