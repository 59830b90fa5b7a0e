"""A fake Ollama on the wire: chat, line by line or whole, embeddings and models.

::

    server = FakeOllamaServer()
    async with running(server, "") as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(404, "model 'x' not found"))

Wire format: https://docs.ollama.com/api and Ollama's ``server/routes.go``. Ollama's own client is content with it.
"""

import asyncio
import json
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
    "USAGE",
    "ErrorReply",
    "FakeOllamaServer",
    "Reply",
    "StreamReply",
    "answer",
    "answer_lines",
    "call",
    "line",
    "running",
    "running_in_thread",
]

USAGE: Body = {"prompt_eval_count": 9, "eval_count": 4}
MODEL = "fake-model:latest"
CREATED = "2026-11-23T12:00:00.123456789Z"
DURATIONS = {"total_duration": 500, "load_duration": 100, "prompt_eval_duration": 100, "eval_duration": 300}


class Reply(provider_server.Reply):
    """A whole reply."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE, gate: asyncio.Event | None = None) -> "Reply":
        """A reply that says ``text``."""
        return cls(json.dumps(answer({"content": text}, usage=usage)).encode(), gate=gate)


class StreamReply(provider_server.StreamReply):
    """A stream of lines."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        return cls(answer_lines({"content": text}, usage=usage))

    def __init__(self, pieces: Sequence[bytes | asyncio.Event], cut: bool = False) -> None:
        super().__init__(pieces, cut, content_type="application/x-ndjson")


def ErrorReply(status: int, message: str = "no", **headers: str) -> Reply:  # noqa: N802 - reads as a kind of reply
    """An error as Ollama sends it."""
    return Reply(json.dumps({"error": message}).encode(), status, headers)


def call(identifier: str | None, name: str, arguments: Body, index: int = 0) -> Body:
    """A tool call; older versions give no id."""
    made: Body = {"function": {"index": index, "name": name, "arguments": arguments}}
    return made if identifier is None else {"id": identifier, **made}


def answer(message: Body, *, usage: Body | None = USAGE, reason: str = "stop", model: str = MODEL) -> Body:
    """The body of a whole reply; of ``message`` only what it says is needed."""
    said = {"role": "assistant", "content": "", **message}
    return {**_line(said, model), **_end(usage, reason)}


def answer_lines(message: Body, *, usage: Body | None = USAGE, reason: str = "stop", model: str = MODEL) -> list[bytes]:
    """The lines of a whole answer: thought and text word by word, each tool call whole."""
    pieces: list[Body] = [{"content": "", "thinking": word} for word in _words(message.get("thinking", ""))]
    pieces += [{"content": word} for word in _words(message.get("content", ""))]
    pieces += [{"content": "", "tool_calls": [made]} for made in message.get("tool_calls", [])]
    lines = [_line({"role": "assistant", **piece}, model) for piece in pieces]
    end = {**_line({"role": "assistant", "content": ""}, model), **_end(usage, reason)}
    return [line(body) for body in (*lines, end)]


def line(body: Any) -> bytes:
    """One line of a stream."""
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"


def _line(message: Body, model: str) -> Body:
    return {"model": model, "created_at": CREATED, "message": message, "done": False}


def _end(usage: Body | None, reason: str) -> Body:
    return {"done": True, "done_reason": reason, **DURATIONS, **(usage or {})}


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [word for word in (first, *(f" {other}" for other in others)) if word]


class FakeOllamaServer(FakeProviderServer):
    """Answers ``/api/chat`` and ``/api/embed`` with the scripted behaviours in turn, and ``/api/tags``.

    Without a script it says "Hello!", streamed unless it is told not to, and embeds every text as its length.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = (MODEL,)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models, and what is wrong with a request."""
        if request.path == "/api/tags":
            listed = [{"name": name, "model": name, "modified_at": CREATED, "size": 1} for name in self.models]
            return Reply.json({"models": listed})
        if request.path not in ("/api/chat", "/api/embed"):
            return Reply(b"404 page not found", 404, content_type="text/plain")
        return None if request.json.get("model") else ErrorReply(400, "model is required")

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or lengths of texts."""
        body = request.json
        if request.path == "/api/chat":
            return StreamReply.of() if body.get("stream", True) else Reply.of()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [[float(len(text)), 0.5] for text in texts]
        return Reply.json({"model": body["model"], "embeddings": vectors, "prompt_eval_count": len(texts)})
