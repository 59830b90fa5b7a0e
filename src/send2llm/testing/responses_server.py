"""A fake provider on the wire that speaks OpenAI's responses, and misbehaves on request.

After https://platform.openai.com/docs/api-reference/responses and
https://platform.openai.com/docs/api-reference/responses-streaming.
"""

import json
from collections.abc import Sequence
from typing import Any

from send2llm.testing import provider_server
from send2llm.testing.openai_server import CREATED, ErrorReply, embeddings, listed_models
from send2llm.testing.provider_server import (
    Behaviour,
    Body,
    FakeProviderServer,
    RecordedRequest,
    Reply,
    running,
    running_in_thread,
)

__all__ = [
    "USAGE",
    "ErrorReply",
    "FakeResponsesServer",
    "Reply",
    "StreamReply",
    "event",
    "events_of",
    "function_call",
    "message",
    "reasoning",
    "response",
    "running",
    "running_in_thread",
]

RESPONSE_ID = "resp_fake"
USAGE: Body = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 13,
}


class StreamReply(provider_server.StreamReply):
    """A stream of events."""

    __slots__ = ()

    @classmethod
    def of(cls, *output: Body | str, **fields: Any) -> "StreamReply":
        """A stream that gives these items, texts word by word; ``fields`` are of the response."""
        return cls([event(one) for one in events_of(response(*output, **fields))])


def response(*output: Body | str, status: str = "completed", usage: Body | None = USAGE, **fields: Any) -> Body:
    """The body of a whole reply; a text is a message, ``fields`` are further ones of the response, or replace some."""
    items = [message(item, f"msg_{place}") if isinstance(item, str) else item for place, item in enumerate(output)]
    return {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "fake-model-1",
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": None,
        "metadata": {},
        **fields,
    }


def message(text: str | None = None, identifier: str = "msg_0", *, refusal: str | None = None, **part: Any) -> Body:
    """An item with a text (``part`` are further fields of it), a refusal, or both."""
    content: list[Body] = []
    if text is not None:
        content.append({"type": "output_text", "annotations": [], "logprobs": [], "text": text, **part})
    if refusal is not None:
        content.append({"type": "refusal", "refusal": refusal})
    return {"id": identifier, "type": "message", "status": "completed", "content": content, "role": "assistant"}


def function_call(name: str, arguments: str = "{}", call_id: str = "call_1", identifier: str = "fc_1") -> Body:
    """An item that calls a function."""
    item = {"id": identifier, "type": "function_call", "status": "completed"}
    return {**item, "arguments": arguments, "call_id": call_id, "name": name}


def reasoning(*summary: str, encrypted: str | None = "gAAAA", identifier: str = "rs_1") -> Body:
    """An item with a thought: what may be shown of it, and its ciphertext."""
    item: Body = {
        "id": identifier,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def events_of(whole: Body) -> list[Body]:
    """The events of a response, in the order in which OpenAI sends them."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[Body] = [{"type": f"response.{name}", "response": begun} for name in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        events += _events_of_item(item, index)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return [{"type": one["type"], "sequence_number": number, **one} for number, one in enumerate(events)]


def _events_of_item(item: Body, index: int) -> list[Body]:
    where = {"item_id": item.get("id"), "output_index": index}
    added, events = _begun(item), []
    match item["type"]:
        case "message":
            for place, part in enumerate(item["content"]):
                events += _events_of_part(part, {**where, "content_index": place}, "content_part")
        case "reasoning":
            for place, part in enumerate(item["summary"]):
                events += _events_of_part(part, {**where, "summary_index": place}, "reasoning_summary_part")
            for place, part in enumerate(item.get("content") or ()):
                events += _events_of_part(part, {**where, "content_index": place}, "content_part")
        case "function_call":
            events += _grown(item, where, "response.function_call_arguments", "arguments")
        case "custom_tool_call":
            events += _grown(item, where, "response.custom_tool_call_input", "input")
    return [
        {"type": "response.output_item.added", "output_index": index, "item": added},
        *events,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


_EMPTY: Body = {"content": [], "summary": [], "arguments": "", "input": ""}


def _begun(item: Body) -> Body:
    empty = {name: value for name, value in _EMPTY.items() if name in item}
    begun = {**item, **empty}
    begun.pop("encrypted_content", None)
    return {**begun, "status": "in_progress"} if "status" in item else begun


def _grown(item: Body, where: Body, events: str, field: str) -> list[Body]:
    pieces = [{"type": f"{events}.delta", **where, "delta": piece} for piece in _pieces(item[field])]
    return [*pieces, {"type": f"{events}.done", **where, field: item[field]}]


_NAMES = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "summary_text": ("response.reasoning_summary_text", "text"),
    "reasoning_text": ("response.reasoning_text", "text"),
}


def _events_of_part(part: Body, where: Body, container: str) -> list[Body]:
    name, field = _NAMES[part["type"]]
    logprobs: Body = {"logprobs": []} if part["type"] == "output_text" else {}
    empty = {**part, field: "", **({"annotations": [], "logprobs": []} if logprobs else {})}
    events = [{"type": f"response.{container}.added", **where, "part": empty}]
    events += [{"type": f"{name}.delta", **where, "delta": piece, **logprobs} for piece in _pieces(part[field])]
    for place, annotation in enumerate(part.get("annotations") or ()):
        told = {"annotation_index": place, "annotation": annotation}
        events.append({"type": "response.output_text.annotation.added", **where, **told})
    done = {"type": f"{name}.done", **where, field: part[field], **logprobs}
    return [*events, done, {"type": f"response.{container}.done", **where, "part": part}]


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [piece for piece in (words[0], *(f" {word}" for word in words[1:])) if piece]


def event(body: Body) -> bytes:
    """A server-sent event."""
    return f"event: {body['type']}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


class FakeResponsesServer(FakeProviderServer):
    """Answers ``POST .../responses`` and ``.../embeddings`` as scripted, and ``GET .../models``.

    Without a script it says "Hello!", streamed or not as asked, and gives texts the vectors of ``vector_of``.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("fake-model-1",)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> Reply | None:
        """The models, and 404 for paths that are not OpenAI's."""
        if request.path.endswith("/models"):
            return Reply.json(listed_models(self.models))
        if request.path.endswith(("/responses", "/embeddings")):
            return None
        return ErrorReply(404, message=f"Unknown request URL: {request.method} {request.path}")

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or vectors."""
        if request.path.endswith("/embeddings"):
            return Reply.json(embeddings(request.json))
        return StreamReply.of("Hello!") if request.json.get("stream") else Reply.json(response("Hello!"))
