"""A fake provider on the wire: an ASGI app that speaks OpenAI's format, and misbehaves on request.

::

    server = FakeOpenAIServer()
    async with running(server) as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(429, {"retry-after": "2"}))
        ...
        assert server.requests[0].json["model"] == "m"
"""

import asyncio
import base64
import hashlib
import json
import struct
from collections.abc import Sequence
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
    "DONE",
    "USAGE",
    "Behaviour",
    "Body",
    "ErrorReply",
    "FakeOpenAIServer",
    "RecordedRequest",
    "Reply",
    "StreamReply",
    "chunk",
    "completion",
    "completion_chunks",
    "embeddings",
    "event",
    "listed_models",
    "running",
    "running_in_thread",
    "vector_of",
]

DONE = b"data: [DONE]\n\n"
USAGE: Body = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CREATED = 1_700_000_000
DIMENSIONS = 8


class Reply(provider_server.Reply):
    """A whole reply, given when the ``gate`` (if any) is open."""

    __slots__ = ()

    @classmethod
    def of(
        cls,
        text: str | None = "Hello!",
        *,
        usage: Body | None = USAGE,
        gate: asyncio.Event | None = None,
        **message: Any,
    ) -> "Reply":
        """A reply that says ``text``; ``message`` are further fields of it, such as ``tool_calls``."""
        return cls(json.dumps(completion(text, usage=usage, **message)).encode(), gate=gate)


def ErrorReply(  # noqa: N802 - reads as a kind of reply
    status: int, headers: dict[str, str] | None = None, *, message: str = "no", **error: Any
) -> Reply:
    """A reply with an error as OpenAI sends it; ``error`` are further fields of it, such as ``code``."""
    body = {"error": {"message": message, "type": None, "param": None, "code": None, **error}}
    return Reply(json.dumps(body).encode(), status, headers or {})


class StreamReply(provider_server.StreamReply):
    """A stream of chunks."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE, done: bool = True) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        chunks = [event(chunk) for chunk in completion_chunks(text, usage=usage)]
        return cls([*chunks, DONE] if done else chunks)


def completion(text: str | None, *, usage: Body | None = USAGE, finish_reason: str = "stop", **message: Any) -> Body:
    """The body of a whole reply."""
    said = {"role": "assistant", "content": text, "refusal": None, **message}
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": "fake-model-1",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason}],
    }
    return body if usage is None else {**body, "usage": usage}


def chunk(finish_reason: str | None = None, *, index: int = 0, **delta: Any) -> Body:
    """The body of one event of a stream."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "fake-model-1",
        "choices": [choice],
    }


def completion_chunks(text: str, *, usage: Body | None = USAGE) -> list[Body]:
    """The events of a whole answer: the role, word by word, the finish reason and the usage."""
    words = text.split(" ")
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    chunks = [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces), chunk("stop")]
    return chunks if usage is None else [*chunks, {**chunk(), "choices": [], "usage": usage}]


def event(body: Body) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def listed_models(models: Sequence[str]) -> Body:
    """The body of a reply to ``GET .../models``."""
    listed = [{"id": model, "object": "model", "created": CREATED, "owned_by": "fake"} for model in models]
    return {"object": "list", "data": listed}


def embeddings(request: Body) -> Body:
    """The body of a reply to a request for embeddings, in the encoding that it asks for."""
    given = request["input"]
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs = [given] if single else given
    vectors = [vector_of(one, request.get("dimensions") or DIMENSIONS) for one in inputs]
    in_base64 = request.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if in_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(len(one) if isinstance(one, list) else len(one.split()) for one in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


def vector_of(text: str | list[int], dimensions: int = DIMENSIONS) -> list[float]:
    """The same vector for the same text, always."""
    digest = hashlib.shake_128(json.dumps(text).encode()).digest(dimensions)
    return [byte / 256 - 0.5 for byte in digest]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class FakeOpenAIServer(FakeProviderServer):
    """Answers ``POST .../chat/completions`` and ``.../embeddings`` as scripted, and ``GET .../models``.

    Without a script it says "Hello!", streamed or not as asked, and gives texts the vectors of ``vector_of``.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("fake-model-1",)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models, and 404 for paths that are not OpenAI's."""
        if request.path.endswith("/models"):
            return Reply.json(listed_models(self.models))
        if request.path.endswith(("/chat/completions", "/embeddings")):
            return None
        return ErrorReply(404, message=f"Unknown request URL: {request.method} {request.path}")

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or vectors."""
        body = request.json
        if request.path.endswith("/embeddings"):
            return Reply.json(embeddings(body))
        if not body.get("stream"):
            return Reply.of()
        wants_usage = (body.get("stream_options") or {}).get("include_usage")
        return StreamReply.of(usage=USAGE if wants_usage else None)
