"""Ollama's chat, for the contract suite."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
from subjects import MODEL

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.message import ContentPart, Message, RefusalPart, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.testing.ollama_server import (
    ErrorReply,
    FakeOllamaServer,
    Reply,
    StreamReply,
    answer,
    answer_lines,
    call,
    line,
)


class OllamaWire:
    format = "ollama"
    path = ""

    def server(self) -> FakeOllamaServer:
        return FakeOllamaServer(models=(MODEL,))

    def config(self, base_url: str) -> ProviderConfig:
        return ProviderConfig("acme", base_url)

    def expected(self, outcome: Completion) -> Completion:
        (given,) = outcome.answers
        parts: list[ContentPart] = [
            TextPart(part.refusal) if isinstance(part, RefusalPart) else part for part in given.message.parts
        ]
        message = Message("assistant", tuple(parts), format="ollama")
        return replace(outcome, answers=(Answer(message, given.finish_reason),), response_id="")

    def reply(self, outcome: Completion) -> Reply:
        return Reply(orjson.dumps(answer(said(outcome), **told(outcome))))

    def pieces(self, outcome: Completion) -> Sequence[bytes]:
        begin = {"model": outcome.response_model, "message": {"role": "assistant", "content": ""}, "done": False}
        return [line(begin), *answer_lines(said(outcome), **told(outcome))]

    def stream(self, pieces: Sequence[object], *, cut: bool = False) -> StreamReply:
        return StreamReply(pieces, cut)  # type: ignore[arg-type]

    def throttled(self) -> Reply:
        return ErrorReply(429, "too many requests", **{"retry-after": "2"})


def said(outcome: Completion) -> dict[str, Any]:
    message = outcome.answers[0].message
    text = message.text + "".join(part.refusal for part in message.parts if isinstance(part, RefusalPart))
    calls = [
        call(made.id, made.name, orjson.loads(made.arguments), place) for place, made in enumerate(message.tool_calls)
    ]
    return {"content": text, "tool_calls": calls} if calls else {"content": text}


def told(outcome: Completion) -> dict[str, Any]:
    usage = outcome.usage
    counts = {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens} if usage else None
    reason = "length" if outcome.answers[0].finish_reason == "length" else "stop"
    return {"usage": counts, "reason": reason, "model": outcome.response_model}
