"""A fake provider on the wire: an ASGI app that speaks Anthropic's format, and misbehaves on request.

After https://platform.claude.com/docs/en/api/messages/create, .../build-with-claude/streaming, .../api/errors,
.../api/models/list, .../api/messages/count_tokens and .../api/migration-2026-10-21::

    server = FakeAnthropicServer()
    async with running(server, path="") as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(529))
        ...
        assert server.requests[0].json["max_tokens"] == 64000
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

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
    "MODEL",
    "PING",
    "STOP",
    "USAGE",
    "Behaviour",
    "Body",
    "ErrorReply",
    "FakeAnthropicServer",
    "RecordedRequest",
    "Reply",
    "StreamReply",
    "event",
    "events_of",
    "message",
    "running",
    "running_in_thread",
    "text",
]

MODEL = "claude-fake-5"
USAGE: Body = {
    "input_tokens": 9,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 4,
    "service_tier": "standard",
}
NEW_VERSION = "2026-10-21"
VERSIONS = frozenset({NEW_VERSION, "2023-06-01"})
_ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip


def event(kind: str, **fields: Any) -> bytes:
    """A server-sent event."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


PING = event("ping")
STOP = event("message_stop")


def text(said: str, **fields: Any) -> Body:
    """A block of text."""
    return {"type": "text", "text": said, **fields}


def message(*content: Body, stop_reason: str = "end_turn", usage: Body | None = USAGE, **fields: Any) -> Body:
    """The body of a whole reply."""
    body = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        **fields,
    }
    return body if usage is None else {**body, "usage": usage}


def events_of(body: Body, *, spaces: bool = True) -> list[bytes]:
    """The events of a stream that says what ``body``, a whole reply, says; texts come word by word.

    ``spaces``: arguments of tools are spelled with some, as models do it.
    """
    usage = body.get("usage")
    begin = {**body, "content": [], "stop_reason": None, "stop_sequence": None}
    if usage is not None:
        begin["usage"] = {**usage, "output_tokens": 1}
    end = {name: body[name] for name in ("stop_reason", "stop_sequence", "stop_details", "container") if name in body}
    for name in ("stop_details", "container"):
        begin.pop(name, None)
    blocks = [piece for index, block in enumerate(body["content"]) for piece in _block_events(index, block, spaces)]
    written = {} if usage is None else {"usage": {"output_tokens": usage["output_tokens"]}}
    return [event("message_start", message=begin), PING, *blocks, event("message_delta", delta=end, **written), STOP]


def _block_events(index: int, block: Body, spaces: bool) -> list[bytes]:
    begin, deltas = _pieces(block, (", ", ": ") if spaces else (",", ":"))
    return [
        event("content_block_start", index=index, content_block=begin),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def _pieces(block: Body, separators: tuple[str, str]) -> tuple[Body, list[Body]]:
    match block["type"]:
        case "text":
            words = block["text"].split(" ")
            deltas = [{"type": "text_delta", "text": f" {word}" if n else word} for n, word in enumerate(words)]
            deltas += [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            return {"type": "text", "text": ""}, deltas
        case "thinking":
            thought = [{"type": "thinking_delta", "thinking": block["thinking"]}] if block["thinking"] else []
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thought, signature]
        case "tool_use" | "server_tool_use":
            written = json.dumps(block["input"], separators=separators) if block["input"] else ""
            halves = (written[: len(written) // 2], written[len(written) // 2 :]) if written else ("",)
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]
    return block, []


class Reply(provider_server.Reply):
    """A whole reply, given when the ``gate`` (if any) is open."""

    __slots__ = ()

    @classmethod
    def of(cls, *content: Body | str, **fields: Any) -> "Reply":
        """A reply of these blocks; a string is a text. ``fields`` are those of ``message``."""
        return cls(json.dumps(message(*map(_block, content or ("Hello!",)), **fields)).encode())


def _block(block: Body | str) -> Body:
    return text(block) if isinstance(block, str) else block


class StreamReply(provider_server.StreamReply):
    """A stream of events."""

    __slots__ = ()

    @classmethod
    def of(cls, *content: Body | str, **fields: Any) -> "StreamReply":
        """A stream that says what ``Reply.of`` would."""
        return cls(events_of(message(*map(_block, content or ("Hello!",)), **fields)))


def ErrorReply(  # noqa: N802 - reads as a kind of reply
    status: int,
    headers: dict[str, str] | None = None,
    *,
    message: str = "no",
    type: str | None = None,  # noqa: A002 - the field's name
) -> Reply:
    """A reply with an error as Anthropic sends it."""
    error = {"type": type or _ERROR_TYPES.get(status, "api_error"), "message": message}
    body = {"type": "error", "error": error, "request_id": "req_fake"}
    return Reply(json.dumps(body).encode(), status, headers or {})


class FakeAnthropicServer(FakeProviderServer):
    """Answers ``POST /v1/messages`` with the scripted behaviours in turn, counts tokens, and lists its models in pages.

    What Anthropic refuses it refuses too: requests without key, version or ``max_tokens``, turns that are empty or
    whose tool results answer no call, and what the newer version of the API no longer takes. Without a script it says
    "Hello!", streamed or not as asked.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = (MODEL,)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """Models, counts, and what is refused."""
        headers = request.headers
        if not (headers.get("x-api-key") or headers.get("authorization", "").startswith("Bearer ")):
            return ErrorReply(401, message="x-api-key header is required")
        if headers.get("anthropic-version") not in VERSIONS:
            return ErrorReply(400, message="anthropic-version: header is required")
        if request.path == "/v1/models":
            return self._models(parse_qs(request.query))
        if request.path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return ErrorReply(404, message=f"Not found: {request.path}")
        counting = request.path.endswith("count_tokens")
        problem = _problem(request.json, headers["anthropic-version"], counting=counting)
        if problem:
            return ErrorReply(400, message=problem)
        return Reply.json({"input_tokens": 14}) if counting else None

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting."""
        return StreamReply.of() if request.json.get("stream") else Reply.of()

    def _models(self, query: dict[str, list[str]]) -> provider_server.Reply:
        limit = int(query.get("limit", ["20"])[0])
        after = query.get("after_id", [""])[0]
        begin = self.models.index(after) + 1 if after in self.models else 0
        page = self.models[begin : begin + limit]
        listed = [
            {"type": "model", "id": model, "display_name": model, "created_at": "2026-10-01T00:00:00Z"}
            for model in page
        ]
        more = begin + limit < len(self.models)
        ends = {"first_id": page[0] if page else None, "last_id": page[-1] if page else None}
        return Reply.json({"data": listed, "has_more": more, **ends})


def _problem(body: Body, version: str, *, counting: bool) -> str | None:
    """What Anthropic would refuse the request for."""
    if not counting and not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    thinking = body.get("thinking") or {}
    if not counting and thinking.get("type") == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`"
    if version == NEW_VERSION:
        for name in ("temperature", "top_p", "top_k"):
            if name in body:
                return f"{name}: Extra inputs are not permitted"
    if str(body).count("'cache_control'") > MOST_BREAKPOINTS:
        return f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided."
    return _problem_of_turns(body["messages"], version)


MOST_BREAKPOINTS = 4


def _problem_of_turns(turns: list[Body], version: str) -> str | None:
    called: set[str] = set()
    for place, turn in enumerate(turns):
        where, role, content = f"messages.{place}", turn["role"], turn["content"]
        blocks = [text(content)] if isinstance(content, str) else content
        if role == "system" and (place == 0 or turns[place - 1]["role"] == "assistant"):
            return f"{where}: role 'system' must follow a user turn"
        if not blocks:
            return f"{where}: messages must have non-empty content"
        if any(block["type"] == "text" and not block["text"] for block in blocks):
            return f"{where}: text content blocks must be non-empty"
        if version == NEW_VERSION and role == "assistant" and any(block["type"] == "document" for block in blocks):
            return f"{where}: document blocks are not permitted in assistant messages"
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if role == "user" and results != called:
            return f"{where}: `tool_result` blocks must answer the `tool_use` blocks of the previous message"
        if results and any(block["type"] != "tool_result" for block in blocks[: len(results)]):
            return f"{where}: `tool_result` blocks must come first"
        if role != "system":
            called = {block["id"] for block in blocks if block["type"] == "tool_use"} if role == "assistant" else set()
    return None
