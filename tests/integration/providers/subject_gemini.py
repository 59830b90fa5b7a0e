"""Gemini and Vertex AI under the contract of providers."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from subjects import Wire

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.message import ContentPart, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.gemini import Target, write_event, write_reply
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.gemini_server import ErrorReply, FakeGeminiServer
from send2llm.testing.provider_server import FakeProviderServer
from send2llm.testing.providers import batches_of

TARGET = Target("gemini-2.5-flash")
KEY = "AIza-test-0123456789"


class Gemini(Wire):
    embedding_model = "gemini-embedding-001"
    settings: ClassVar[dict[str, Any]] = {"format": "gemini", "api_key": KEY}
    path = "/v1beta"
    error = ErrorReply(429, "RESOURCE_EXHAUSTED", retry_delay="2s")

    def server(self) -> FakeProviderServer:
        return FakeGeminiServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        made = make_provider("gemini", ProviderConfig("acme", base_url, api_key=KEY))
        assert isinstance(made, HttpProvider)
        return made

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(write_reply(completion, TARGET))

    def events(self, completion: Completion) -> list[bytes]:
        """Calls come whole, so their pieces are put together."""
        deltas = [delta for batch in batches_of(completion) for delta in batch if not delta.tool_calls]
        end = next(place for place, delta in enumerate(deltas) if delta.finish_reason)
        for index, answer in enumerate(completion.answers):
            calls = (
                ToolCallDelta(n, one.id, one.name, one.arguments) for n, one in enumerate(answer.message.tool_calls)
            )
            deltas[end:end] = [Delta(tool_calls=(call,), index=index) for call in calls]
        return [write_event([delta], TARGET) for delta in deltas]

    def said(self, completion: Completion) -> Completion:
        """Refusals are text, and arguments are objects."""
        answers = [
            Answer(
                replace(answer.message, parts=tuple(map(_said, answer.message.parts)), format="gemini"),
                answer.finish_reason,
            )
            for answer in completion.answers
        ]
        return replace(completion, answers=tuple(answers))


class Vertex(Gemini):
    embedding_model = "text-embedding-005"
    settings: ClassVar[dict[str, Any]] = {
        "format": "vertex",
        "api_key": KEY,
        "options": {"project": "acme-project", "location": "europe-west4"},
    }
    path = ""

    def provider(self, base_url: str) -> HttpProvider:
        options = {"project": "acme-project", "location": "europe-west4"}
        made = make_provider("vertex", ProviderConfig("acme", base_url, api_key=KEY, options=options))
        assert isinstance(made, HttpProvider)
        return made


def _said(part: ContentPart) -> ContentPart:
    if isinstance(part, RefusalPart):
        return TextPart(part.refusal)
    if isinstance(part, ToolCallPart):
        return replace(part, arguments=orjson.dumps(orjson.loads(part.arguments)).decode())
    return part
