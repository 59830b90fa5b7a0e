"""Cohere under the contract of providers."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from subjects import Wire

from send2llm.domain.completion import Completion, Usage
from send2llm.domain.message import ContentPart, RefusalPart, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.cohere_server import ErrorReply, FakeCohereServer, answer, answer_events, call
from send2llm.testing.provider_server import FakeProviderServer

REASONS = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"}


class Cohere(Wire):
    settings: ClassVar[dict[str, Any]] = {"format": "cohere", "api_key": "key-0123456789"}
    path = ""
    error = ErrorReply(429, "You are past the per minute request limit", **{"retry-after": "2"})

    def server(self) -> FakeProviderServer:
        return FakeCohereServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        made = make_provider("cohere", ProviderConfig("acme", base_url, api_key="key-0123456789"))
        assert isinstance(made, HttpProvider)
        return made

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(answer(_message(completion), **_told(completion)))

    def events(self, completion: Completion) -> list[bytes]:
        start, begin, *others = answer_events(_message(completion), **_told(completion))
        return [start + begin, *others]

    def said(self, completion: Completion) -> Completion:
        """It does not name the model; refusals are text."""
        (given,) = completion.answers
        message = replace(given.message, parts=tuple(map(_said, given.message.parts)), format="cohere")
        return replace(completion, answers=(replace(given, message=message),), response_model="")


def _said(part: ContentPart) -> ContentPart:
    return TextPart(part.refusal) if isinstance(part, RefusalPart) else part


def _message(completion: Completion) -> dict[str, Any]:
    message = completion.answers[0].message
    parts = (_said(part) for part in message.parts)
    body: dict[str, Any] = {
        "content": [{"type": "text", "text": one.text} for one in parts if isinstance(one, TextPart)]
    }
    if message.tool_calls:
        body["tool_calls"] = [call(made.id, made.name, made.arguments) for made in message.tool_calls]
    return body


def _told(completion: Completion) -> dict[str, Any]:
    reason = REASONS[completion.answers[0].finish_reason]
    return {"reason": reason, "identifier": completion.response_id, "usage": _usage(completion.usage)}


def _usage(given: Usage | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {"billed_units": {"input_tokens": float(given.input_tokens), "output_tokens": given.output_tokens}}
