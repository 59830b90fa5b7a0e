"""Cohere's chat, for the contract suite."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
from subjects import MODEL

from send2llm.domain.completion import Answer, Completion, Usage
from send2llm.domain.message import ContentPart, Message, RefusalPart, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.testing.cohere_server import (
    ErrorReply,
    FakeCohereServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
    call,
)

REASONS = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"}


class CohereWire:
    format = "cohere"
    path = ""

    def server(self) -> FakeCohereServer:
        return FakeCohereServer(models=(MODEL,))

    def config(self, base_url: str) -> ProviderConfig:
        return ProviderConfig("acme", base_url, api_key="key-0123456789")

    def expected(self, outcome: Completion) -> Completion:
        (given,) = outcome.answers
        parts: list[ContentPart] = [
            TextPart(part.refusal) if isinstance(part, RefusalPart) else part for part in given.message.parts
        ]
        message = Message("assistant", tuple(parts), format="cohere")
        return replace(outcome, answers=(Answer(message, given.finish_reason),), response_model="")

    def reply(self, outcome: Completion) -> Reply:
        return Reply(orjson.dumps(answer(said(outcome), **told(outcome))))

    def pieces(self, outcome: Completion) -> Sequence[bytes]:
        start, begin, *others = answer_events(said(outcome), **told(outcome))
        return [start + begin, *others]

    def stream(self, pieces: Sequence[object], *, cut: bool = False) -> StreamReply:
        return StreamReply(pieces, cut)  # type: ignore[arg-type]

    def throttled(self) -> Reply:
        return ErrorReply(429, "You are past the per minute request limit", **{"retry-after": "2"})


def said(outcome: Completion) -> dict[str, Any]:
    message = outcome.answers[0].message
    texts = [
        part.refusal if isinstance(part, RefusalPart) else part.text
        for part in message.parts
        if part.type in ("text", "refusal")
    ]  # type: ignore[union-attr]
    body: dict[str, Any] = {"content": [{"type": "text", "text": text} for text in texts]}
    if message.tool_calls:
        body["tool_calls"] = [call(made.id, made.name, made.arguments) for made in message.tool_calls]
    return body


def told(outcome: Completion) -> dict[str, Any]:
    reason = REASONS[outcome.answers[0].finish_reason]
    return {"reason": reason, "identifier": outcome.response_id, "usage": usage(outcome.usage)}


def usage(given: Usage | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {"billed_units": {"input_tokens": float(given.input_tokens), "output_tokens": given.output_tokens}}
