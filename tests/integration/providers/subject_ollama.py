"""Ollama under the contract of providers."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from subjects import Wire

from send2llm.domain.completion import Completion
from send2llm.domain.message import ContentPart, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.ollama_server import ErrorReply, FakeOllamaServer, answer, answer_lines, call, line
from send2llm.testing.provider_server import FakeProviderServer


class Ollama(Wire):
    settings: ClassVar[dict[str, Any]] = {"format": "ollama"}
    stream_type = "application/x-ndjson"
    path = ""
    error = ErrorReply(429, "too many requests", **{"retry-after": "2"})

    def server(self) -> FakeProviderServer:
        return FakeOllamaServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        made = make_provider("ollama", ProviderConfig("acme", base_url))
        assert isinstance(made, HttpProvider)
        return made

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(answer(_message(completion), **_told(completion)))

    def events(self, completion: Completion) -> list[bytes]:
        begin = {"model": completion.response_model, "message": {"role": "assistant", "content": ""}, "done": False}
        return [line(begin), *answer_lines(_message(completion), **_told(completion))]

    def said(self, completion: Completion) -> Completion:
        """It does not name the answer; refusals are text, and arguments are objects."""
        (given,) = completion.answers
        message = replace(given.message, parts=tuple(map(_said, given.message.parts)), format="ollama")
        return replace(completion, answers=(replace(given, message=message),), response_id="")


def _said(part: ContentPart) -> ContentPart:
    if isinstance(part, RefusalPart):
        return TextPart(part.refusal)
    if isinstance(part, ToolCallPart):
        return replace(part, arguments=orjson.dumps(orjson.loads(part.arguments)).decode())
    return part


def _message(completion: Completion) -> dict[str, Any]:
    message = completion.answers[0].message
    text = message.text + "".join(part.refusal for part in message.parts if isinstance(part, RefusalPart))
    calls = [
        call(made.id, made.name, orjson.loads(made.arguments), place) for place, made in enumerate(message.tool_calls)
    ]
    return {"content": text, "tool_calls": calls} if calls else {"content": text}


def _told(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    counts = {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens} if usage else None
    reason = "length" if completion.answers[0].finish_reason == "length" else "stop"
    return {"usage": counts, "reason": reason, "model": completion.response_model}
