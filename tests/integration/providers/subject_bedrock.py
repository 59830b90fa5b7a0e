"""Amazon Bedrock under the contract of providers."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
from subjects import Wire

from send2llm.domain.completion import Completion, Usage
from send2llm.domain.message import ContentPart, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.bedrock_server import BEARER_KEY, ErrorReply, FakeBedrockServer, answer, answer_events
from send2llm.testing.provider_server import FakeProviderServer

REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


class Bedrock(Wire):
    embedding_model = "amazon.titan-embed-text-v2:0"
    settings: ClassVar[dict[str, Any]] = {
        "format": "bedrock",
        "api_key": BEARER_KEY,
        "options": {"region": "us-east-1"},
    }
    stream_type = "application/vnd.amazon.eventstream"
    path = ""
    error = ErrorReply(429, "ThrottlingException", **{"retry-after": "2"})

    def server(self) -> FakeProviderServer:
        return FakeBedrockServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        config = ProviderConfig("acme", base_url, api_key=BEARER_KEY, options={"region": "us-east-1"})
        made = make_provider("bedrock", config)
        assert isinstance(made, HttpProvider)
        return made

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(answer(_blocks(completion), **_told(completion)))

    def events(self, completion: Completion) -> list[bytes]:
        return answer_events(_blocks(completion), **_told(completion))

    def said(self, completion: Completion) -> Completion:
        """It names neither the answer nor the model; refusals are text, and arguments are objects."""
        (given,) = completion.answers
        message = replace(given.message, parts=tuple(map(_said, given.message.parts)), format="bedrock")
        return replace(completion, answers=(replace(given, message=message),), response_id="", response_model="")


def _said(part: ContentPart) -> ContentPart:
    if isinstance(part, RefusalPart):
        return TextPart(part.refusal)
    if isinstance(part, ToolCallPart):
        return replace(part, arguments=orjson.dumps(orjson.loads(part.arguments)).decode())
    return part


def _blocks(completion: Completion) -> list[dict[str, Any]]:
    return [_block(part) for part in completion.answers[0].message.parts]


def _block(part: ContentPart) -> dict[str, Any]:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return {"text": text}
        case ToolCallPart(id=identifier, name=name, arguments=arguments):
            return {"toolUse": {"toolUseId": identifier, "name": name, "input": orjson.loads(arguments)}}
        case _:
            raise NotImplementedError(part)


def _told(completion: Completion) -> dict[str, Any]:
    return {"reason": REASONS[completion.answers[0].finish_reason], "usage": _usage(completion.usage)}


def _usage(given: Usage | None) -> dict[str, int] | None:
    if given is None:
        return None
    total = given.input_tokens + given.output_tokens
    return {"inputTokens": given.input_tokens, "outputTokens": given.output_tokens, "totalTokens": total}
