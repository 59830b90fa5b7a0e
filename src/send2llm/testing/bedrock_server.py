"""A fake Amazon Bedrock on the wire: Converse, its event stream, embeddings, and both ways to prove who asks.

::

    server = FakeBedrockServer()
    async with running(server, "") as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(429, "ThrottlingException"))

Wire format: https://docs.aws.amazon.com/bedrock/latest/APIReference/. boto3 is content with it.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

from send2llm.testing import provider_server
from send2llm.testing.aws_signatures import is_signed
from send2llm.testing.event_stream import error, event, exception
from send2llm.testing.provider_server import (
    Behaviour,
    Body,
    FakeProviderServer,
    RecordedRequest,
    running,
    running_in_thread,
)

__all__ = [
    "KEY_ID",
    "SECRET_KEY",
    "USAGE",
    "ErrorReply",
    "FakeBedrockServer",
    "Reply",
    "StreamReply",
    "answer",
    "answer_events",
    "block_events",
    "error",
    "event",
    "exception",
    "running",
    "running_in_thread",
]

KEY_ID = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - the example of Amazon's documentation
BEARER_KEY = "bedrock-api-key-0123456789"
USAGE: Body = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
_OPERATION = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|count-tokens)")


class Reply(provider_server.Reply):
    """A whole reply."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE, gate: asyncio.Event | None = None) -> "Reply":
        """A reply that says ``text``."""
        return cls(json.dumps(answer([{"text": text}], usage=usage)).encode(), gate=gate)


class StreamReply(provider_server.StreamReply):
    """A stream of events."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        return cls(answer_events([{"text": text}], usage=usage))

    def __init__(self, pieces: Sequence[bytes | asyncio.Event], cut: bool = False) -> None:
        super().__init__(pieces, cut, content_type="application/vnd.amazon.eventstream")


def ErrorReply(status: int, kind: str, message: str = "no", **headers: str) -> Reply:  # noqa: N802 - a kind of reply
    """An error as Bedrock sends it: its kind is in a header, and ends in the address of the service's model."""
    named = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/", **headers}
    return Reply(json.dumps({"message": message}).encode(), status, named)


def answer(blocks: Sequence[Body], *, usage: Body | None = USAGE, reason: str | None = None) -> Body:
    """The body of a whole reply."""
    body = {
        "metrics": {"latencyMs": 42},
        "output": {"message": {"content": list(blocks), "role": "assistant"}},
        "stopReason": reason or _usual_reason(blocks),
    }
    return body if usage is None else {**body, "usage": usage}


def answer_events(blocks: Sequence[Body], *, usage: Body | None = USAGE, reason: str | None = None) -> list[bytes]:
    """The events of a whole answer."""
    events = [event("messageStart", {"role": "assistant"})]
    for place, block in enumerate(blocks):
        events += block_events(place, block)
    events.append(event("messageStop", {"stopReason": reason or _usual_reason(blocks)}))
    return events if usage is None else [*events, event("metadata", {"usage": usage, "metrics": {"latencyMs": 42}})]


def block_events(place: int, block: Body) -> list[bytes]:
    """The events of one block; texts come word by word, arguments in two halves."""
    deltas: list[Body]
    start: Body | None = None
    if "text" in block:
        deltas = [{"text": word} for word in _words(block["text"])]
    elif "toolUse" in block:
        use = block["toolUse"]
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        text = json.dumps(use["input"], ensure_ascii=False, separators=(",", ":")) if use["input"] else ""
        deltas = [{"toolUse": {"input": half}} for half in (text[:3], text[3:]) if half or not text]
    else:
        thought = block["reasoningContent"]
        deltas = [{"reasoningContent": piece} for piece in _thoughts(thought)]
    number = {"contentBlockIndex": place}
    begin = [] if start is None else [event("contentBlockStart", {"start": start, **number})]
    middle = [event("contentBlockDelta", {"delta": delta, **number}) for delta in deltas]
    return [*begin, *middle, event("contentBlockStop", number)]


def _thoughts(thought: Body) -> list[Body]:
    if "redactedContent" in thought:
        return [thought]
    known = thought["reasoningText"]
    signature = [{"signature": known["signature"]}] if "signature" in known else []
    return [*({"text": word} for word in _words(known["text"])), *signature]


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


def _usual_reason(blocks: Sequence[Body]) -> str:
    return "tool_use" if any("toolUse" in block for block in blocks) else "end_turn"


class FakeBedrockServer(FakeProviderServer):
    """Answers ``converse``, ``converse-stream`` and ``invoke`` with the scripted behaviours in turn.

    It turns down whoever has neither signed with ``SECRET_KEY`` nor bears ``BEARER_KEY``. Without a script it says
    "Hello!", and embeds every text as its length.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("amazon.nova-fake-v1:0",)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models, the number of tokens, and what is wrong with a request."""
        if not self._is_allowed(request):
            kind = "InvalidSignatureException" if "authorization" in request.headers else None
            return ErrorReply(403, kind or "MissingAuthenticationTokenException", "The security token is not valid.")
        if request.path == "/foundation-models":
            arn = "arn:aws:bedrock:us-east-1::foundation-model/"
            return Reply.json({"modelSummaries": [{"modelArn": arn + id_, "modelId": id_} for id_ in self.models]})
        operation = _OPERATION.fullmatch(request.path)
        if operation is None:
            return ErrorReply(404, "UnknownOperationException", "")
        if operation[2] == "count-tokens":
            return Reply.json({"inputTokens": len(request.json["input"]["converse"]["messages"])})
        return None

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, or lengths of texts."""
        if request.path.endswith("/converse"):
            return Reply.of()
        return StreamReply.of() if request.path.endswith("/converse-stream") else Reply.json(_embedded(request.json))

    @staticmethod
    def _is_allowed(request: RecordedRequest) -> bool:
        bears = request.headers.get("authorization") == f"Bearer {BEARER_KEY}"
        return bears or is_signed(request, KEY_ID, SECRET_KEY)


def _embedded(body: Any) -> Body:
    if "inputText" in body:
        text = body["inputText"]
        return {"embedding": [float(len(text)), 0.5], "inputTextTokenCount": len(text.split())}
    return {
        "id": "fake",
        "response_type": "embeddings_by_type",
        "texts": body["texts"],
        "embeddings": {"float": [[float(len(text)), 0.5] for text in body["texts"]]},
    }
