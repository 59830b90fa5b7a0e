"""OpenAI's responses under the contract."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from making import made
from subjects import Wire

from send2llm.domain.completion import Completion
from send2llm.domain.message import RefusalPart
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.openai_server import ErrorReply
from send2llm.testing.provider_server import FakeProviderServer
from send2llm.testing.responses_server import (
    FakeResponsesServer,
    event,
    events_of,
    function_call,
    message,
    response,
)


class OpenAIResponses(Wire):
    path = "/v1"
    settings: ClassVar[dict[str, Any]] = {"format": "openai-responses"}
    error = ErrorReply(429, {"retry-after": "2"}, type="rate_limit_error")

    def server(self) -> FakeProviderServer:
        return FakeResponsesServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        return made("openai-responses", "acme", base_url)

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(_body(completion))

    def events(self, completion: Completion) -> list[bytes]:
        told = events_of(_body(completion))
        begin = next((place for place, one in enumerate(told) if one["type"].endswith(".delta")), 2)
        return [b"".join(map(event, told[:begin])), *map(event, told[begin:])]

    def said(self, completion: Completion) -> Completion:
        answers = [replace(one, message=replace(one.message, format="responses")) for one in completion.answers]
        return replace(completion, answers=tuple(answers))


def _body(completion: Completion) -> dict[str, Any]:
    """Items without names of their own, which would be kept."""
    (given,) = completion.answers
    refusal = "".join(part.refusal for part in given.message.parts if isinstance(part, RefusalPart))
    items = [message(given.message.text or None, refusal=refusal or None)]
    items += [function_call(call.name, call.arguments, call.id) for call in given.message.tool_calls]
    cut = given.finish_reason == "length"
    usage = completion.usage
    return response(
        *({name: item[name] for name in item if name != "id"} for item in items),
        id=completion.response_id,
        model=completion.response_model,
        status="incomplete" if cut else "completed",
        incomplete_details={"reason": "max_output_tokens"} if cut else None,
        usage=usage and {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
    )
