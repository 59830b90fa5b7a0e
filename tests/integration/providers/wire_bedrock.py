"""Amazon Bedrock's Converse, for the contract suite."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
from subjects import MODEL

from send2llm.domain.completion import Answer, Completion, Usage
from send2llm.domain.message import ContentPart, Message, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.testing.bedrock_server import (
    BEARER_KEY,
    ErrorReply,
    FakeBedrockServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
)

REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


class BedrockWire:
    format = "bedrock"
    path = ""

    def server(self) -> FakeBedrockServer:
        return FakeBedrockServer(models=(MODEL,))

    def config(self, base_url: str) -> ProviderConfig:
        return ProviderConfig("acme", base_url, api_key=BEARER_KEY, options={"region": "us-east-1"})

    def expected(self, outcome: Completion) -> Completion:
        (given,) = outcome.answers
        parts: list[ContentPart] = [
            TextPart(part.refusal) if isinstance(part, RefusalPart) else part for part in given.message.parts
        ]
        message = Message("assistant", tuple(parts), format="bedrock")
        return replace(outcome, answers=(Answer(message, given.finish_reason),), response_id="", response_model="")

    def reply(self, outcome: Completion) -> Reply:
        return Reply(orjson.dumps(answer(blocks(outcome), usage=usage(outcome.usage), reason=reason(outcome))))

    def pieces(self, outcome: Completion) -> Sequence[bytes]:
        return answer_events(blocks(outcome), usage=usage(outcome.usage), reason=reason(outcome))

    def stream(self, pieces: Sequence[object], *, cut: bool = False) -> StreamReply:
        return StreamReply(pieces, cut)  # type: ignore[arg-type]

    def throttled(self) -> Reply:
        return ErrorReply(429, "ThrottlingException", **{"retry-after": "2"})


def blocks(outcome: Completion) -> list[dict[str, Any]]:
    return [block(part) for part in outcome.answers[0].message.parts]


def block(part: ContentPart) -> dict[str, Any]:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return {"text": text}
        case ToolCallPart(id=identifier, name=name, arguments=arguments):
            return {"toolUse": {"toolUseId": identifier, "name": name, "input": orjson.loads(arguments)}}
        case _:
            raise NotImplementedError(part)


def reason(outcome: Completion) -> str:
    return REASONS[outcome.answers[0].finish_reason]


def usage(given: Usage | None) -> dict[str, int] | None:
    if given is None:
        return None
    total = given.input_tokens + given.output_tokens
    return {"inputTokens": given.input_tokens, "outputTokens": given.output_tokens, "totalTokens": total}
