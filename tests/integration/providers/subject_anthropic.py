"""Anthropic under the contract of providers."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from making import made
from subjects import Wire

from send2llm.domain.completion import Completion
from send2llm.domain.message import ContentPart, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.anthropic import write_reply
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.anthropic_server import ErrorReply, FakeAnthropicServer, events_of
from send2llm.testing.provider_server import FakeProviderServer


class Anthropic(Wire):
    embedding_model = None
    path = ""
    settings: ClassVar[dict[str, Any]] = {"format": "anthropic", "api_key": "key-0123456789"}
    error = ErrorReply(429, {"retry-after": "2"})

    def server(self) -> FakeProviderServer:
        return FakeAnthropicServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        return made("anthropic", "acme", base_url, api_key="key-0123456789")

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(_body(completion))

    def events(self, completion: Completion) -> list[bytes]:
        start, ping, begin, *others = events_of(_body(completion), spaces=False)
        return [start + ping + begin, *others]

    def said(self, completion: Completion) -> Completion:
        """Refusals are text."""
        (given,) = completion.answers
        message = replace(given.message, parts=tuple(map(_said, given.message.parts)), format="anthropic")
        return replace(completion, answers=(replace(given, message=message),))


def _said(part: ContentPart) -> ContentPart:
    if isinstance(part, ToolCallPart):  # its arguments are an object, which has no spelling
        return replace(part, arguments=orjson.dumps(orjson.loads(part.arguments)).decode())
    return TextPart(part.refusal) if isinstance(part, RefusalPart) else part


def _body(completion: Completion) -> Body:
    body = write_reply(completion, response_id=completion.response_id, model=completion.response_model)
    return orjson.loads(orjson.dumps(body, default=dict))  # type: ignore[no-any-return]
