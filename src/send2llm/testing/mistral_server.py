"""A fake Mistral on the wire: it speaks Mistral's format, and is as strict as Mistral is.

Fields that are not in its documentation get 422, ids of tool calls that are not nine letters or digits get 400.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from send2llm.testing import openai_server, provider_server
from send2llm.testing.openai_server import DONE, event
from send2llm.testing.provider_server import Behaviour, Body, FakeProviderServer, RecordedRequest

__all__ = ["USAGE", "ErrorReply", "FakeMistralServer", "Reply", "StreamReply", "chunk", "completion", "thinking"]

USAGE: Body = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CREATED = 1_700_000_000

_FIELDS = {
    "chat/completions": frozenset(
        {
            "frequency_penalty", "guardrails", "logprobs", "max_tokens", "messages", "metadata", "min_tokens", "model",
            "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_logprobs",
            "prompt_mode", "random_seed", "reasoning_effort", "repetition_penalty", "response_format", "safe_prompt",
            "service_tier", "stop", "stream", "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
            "top_prompt_logprobs",
        }
    ),
    "embeddings": frozenset(
        {"encoding_format", "input", "metadata", "model", "output_dimension", "output_dtype"}
    ),
}  # fmt: skip
_MESSAGE_FIELDS = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_TOOL_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def ErrorReply(  # noqa: N802 - reads as a kind of reply
    status: int, headers: dict[str, str] | None = None, *, message: Any = "no", **error: Any
) -> provider_server.Reply:
    """A reply with an error as Mistral sends it."""
    body = {
        "object": "error",
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
        **error,
    }
    return provider_server.Reply.json(body, status, headers or {})


def thinking(text: str, **further: Any) -> Body:
    """A part with a thought."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **further}


def completion(
    content: str | list[Body] | None, *, finish_reason: str = "stop", usage: Body | None = USAGE, **message: Any
) -> Body:
    """The body of a whole reply."""
    said = {"role": "assistant", "content": content, "tool_calls": None, "prefix": False, **message}
    body = {
        "id": "cmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": "fake-mistral-1",
        "choices": [{"index": 0, "message": said, "finish_reason": finish_reason}],
    }
    return body if usage is None else {**body, "usage": usage}


def chunk(finish_reason: str | None = None, *, index: int = 0, usage: Body | None = None, **delta: Any) -> Body:
    """The body of one event of a stream; the last one of an answer has the usage."""
    body = {
        "id": "cmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "fake-mistral-1",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}],
    }
    return body if usage is None else {**body, "usage": usage}


class Reply(provider_server.Reply):
    """A whole reply."""

    __slots__ = ()

    @classmethod
    def of(cls, content: str | list[Body] | None = "Hello!", **further: Any) -> "Reply":
        """A reply that says it."""
        return cls(json.dumps(completion(content, **further)).encode())


class StreamReply(provider_server.StreamReply):
    """A stream of chunks."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        words = text.split(" ")
        pieces = [words[0], *(f" {word}" for word in words[1:])]
        chunks = [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces)]
        return cls([event(one) for one in [*chunks, chunk("stop", content="", usage=usage)]] + [DONE])


class FakeMistralServer(FakeProviderServer):
    """Answers chat and embeddings with the scripted behaviours, and lists ``models`` and what they can do."""

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("fake-model",)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models, and what is wrong with a request."""
        if request.path.endswith("/models"):
            listed = [
                {"id": name, "object": "model", "type": "base", "capabilities": _can(name)} for name in self.models
            ]
            return Reply.json({"object": "list", "data": listed})
        for path, fields in _FIELDS.items():
            if request.path.endswith(path):
                return _complaint(request.json, fields)
        return Reply.json({"detail": "Not Found"}, 404)

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or vectors."""
        body = request.json
        if request.path.endswith("/embeddings"):
            asked = {**body, "dimensions": body.get("output_dimension")}
            return Reply.json({"id": "embd-fake", **openai_server.embeddings(asked)})
        return StreamReply.of() if body.get("stream") else Reply.of()


def _can(model: str) -> Body:
    return {"completion_chat": "embed" not in model and "ocr" not in model, "function_calling": True, "vision": False}


def _complaint(body: Body, fields: frozenset[str]) -> provider_server.Reply | None:
    wrong: list[list[str | int]] = [["body", name] for name in body if name not in fields]
    for place, message in enumerate(body.get("messages", [])):
        known = _MESSAGE_FIELDS.get(message["role"], frozenset())
        wrong += [["body", "messages", message["role"], place, name] for name in message if name not in known]
        for call in message.get("tool_calls") or []:
            if not _TOOL_CALL_ID.fullmatch(call["id"]):
                return _bad_id(call["id"])
        if message["role"] == "tool" and not _TOOL_CALL_ID.fullmatch(message.get("tool_call_id", "")):
            return _bad_id(message.get("tool_call_id", ""))
    if not wrong:
        return None
    detail = [{"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted"} for place in wrong]
    return ErrorReply(422, message={"detail": detail})


def _bad_id(identifier: str) -> provider_server.Reply:
    said = f"Tool call id was {identifier} but must be a-z, A-Z, 0-9, with a length of 9."
    return ErrorReply(400, message=said, type="invalid_function_call", code="3280")
