"""A fake provider on the wire that speaks Google's format, at the Gemini API (``/v1beta``, ``/v1``) and at Vertex AI.

After https://ai.google.dev/api and https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference. It
is as strict as they are: an unknown field or a content without parts is an error. ::

    server = FakeGeminiServer()
    async with running(server, "/v1beta") as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(429, "RESOURCE_EXHAUSTED", retry_delay="2s"))
"""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

from send2llm.testing import provider_server
from send2llm.testing.provider_server import (
    Behaviour,
    Body,
    FakeProviderServer,
    RecordedRequest,
    running,
    running_in_thread,
)

__all__ = [
    "USAGE",
    "ErrorReply",
    "FakeGeminiServer",
    "Reply",
    "StreamReply",
    "candidate",
    "event",
    "problem_of",
    "response",
    "running",
    "running_in_thread",
]

USAGE: Body = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
MODEL = "gemini-fake-1"
RESPONSE_ID = "fake-response"

_MODEL = r"(?:models|tunedModels)/[\w.\-]+"
_VERTEX_MODEL = r"(?:projects/[\w.:\-]+/locations/[\w\-]+/)?publishers/google/models/[\w.\-@]+"
_CALL = re.compile(rf"/v1(?:beta1?)?/(?P<model>{_MODEL}|{_VERTEX_MODEL}):(?P<method>\w+)")
_MODELS = re.compile(r"/v1(?:beta1?)?/(?:publishers/google/)?models")
_FIELDS = frozenset(
    {
        "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent",
        "labels", "serviceTier", "store", "model",
    }
)  # fmt: skip
_PART_FIELDS = frozenset(
    {
        "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse",
        "executableCode", "codeExecutionResult", "mediaResolution", "videoMetadata",
    }
)  # fmt: skip
_CONFIG_FIELDS = frozenset(
    {
        "temperature", "topP", "topK", "seed", "maxOutputTokens", "stopSequences", "candidateCount", "presencePenalty",
        "frequencyPenalty", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities",
        "thinkingConfig", "mediaResolution", "responseLogprobs", "logprobs",
    }
)  # fmt: skip


def candidate(*parts: Body, finish_reason: str | None = "STOP", index: int = 0, **further: Any) -> Body:
    """One answer, or a piece of it."""
    body: Body = {"content": {"parts": list(parts), "role": "model"}, "index": index, **further}
    return body if finish_reason is None else {**body, "finishReason": finish_reason}


def response(*candidates: Body, usage: Body | None = USAGE, **further: Any) -> Body:
    """The body of a whole reply, or of an event of a stream."""
    body: Body = {"candidates": list(candidates)} if candidates else {}
    body |= {"modelVersion": MODEL, "responseId": RESPONSE_ID, **further}
    return body if usage is None else {**body, "usageMetadata": usage}


def event(body: Body) -> bytes:
    """A server-sent event, with the line ends that Google sends."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"


class Reply(provider_server.Reply):
    """A whole reply, given when the ``gate`` (if any) is open."""

    __slots__ = ()

    @classmethod
    def of(
        cls, text: str = "Hello!", *parts: Body, usage: Body | None = USAGE, gate: asyncio.Event | None = None
    ) -> "Reply":
        """A reply that says ``text``; ``parts`` are further ones, such as function calls."""
        said = [{"text": text}] if text else []
        return cls(json.dumps(response(candidate(*said, *parts), usage=usage)).encode(), gate=gate)


def ErrorReply(  # noqa: N802 - reads as a kind of reply
    status: int,
    code: str,
    message: str = "no",
    *,
    headers: dict[str, str] | None = None,
    retry_delay: str | None = None,
    reason: str | None = None,
    quota: str | None = None,
) -> Reply:
    """A reply with an error as Google sends it; the last three are details, as ``google.rpc`` has them."""
    return Reply.json({"error": error(status, code, message, retry_delay, reason, quota)}, status, headers)  # type: ignore[return-value]


def error(
    status: int,
    code: str,
    message: str,
    retry_delay: str | None = None,
    reason: str | None = None,
    quota: str | None = None,
) -> Body:
    """The ``error`` of a reply."""
    kind = "type.googleapis.com/google.rpc."
    details: list[Body] = []
    if reason:
        details.append({"@type": kind + "ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if quota:
        violation = {"quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": quota}
        details.append({"@type": kind + "QuotaFailure", "violations": [violation]})
    if retry_delay:
        details.append({"@type": kind + "RetryInfo", "retryDelay": retry_delay})
    body: Body = {"code": status, "message": message, "status": code}
    return {**body, "details": details} if details else body


class StreamReply(provider_server.StreamReply):
    """A stream of events."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE) -> "StreamReply":
        """A stream that says ``text`` word by word, and counts tokens as it goes on."""
        words = text.split(" ")
        pieces = [words[0], *(f" {word}" for word in words[1:])]
        counted = {"promptTokenCount": 9, "totalTokenCount": 9} if usage else None
        events = [response(candidate({"text": piece}, finish_reason=None), usage=counted) for piece in pieces[:-1]]
        events.append(response(candidate({"text": pieces[-1]}), usage=usage))
        return cls([event(body) for body in events])


class FakeGeminiServer(FakeProviderServer):
    """Answers calls of a model with the scripted behaviours in turn, and lists ``models``.

    Without a script it says "Hello!", streamed or not as asked, counts 7 tokens, and gives each text the vector
    ``[0.5, -0.25]``.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = (MODEL,)) -> None:
        super().__init__(*behaviours)
        self.models = models

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """The models; errors for other paths and for what is no request."""
        if request.method == "GET" and _MODELS.fullmatch(request.path):
            return Reply.json(self._listed(vertex="publishers" in request.path))
        call = _CALL.fullmatch(request.path)
        if call is None:
            return ErrorReply(404, "NOT_FOUND", f"{request.path} is not found")
        problem = problem_of(call["method"], request.json)
        return ErrorReply(400, "INVALID_ARGUMENT", problem) if problem else None

    def _listed(self, *, vertex: bool) -> Body:
        if vertex:
            return {"publisherModels": [{"name": f"publishers/google/models/{model}"} for model in self.models]}
        return {"models": [{"name": f"models/{model}", "displayName": model} for model in self.models]}

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting, vectors, a number."""
        method, body = request.path.rpartition(":")[2], request.json
        vector = {"values": [0.5, -0.25]}
        match method:
            case "streamGenerateContent":
                return StreamReply.of()
            case "generateContent":
                return Reply.of()
            case "countTokens":
                return Reply.json({"totalTokens": 7})
            case "batchEmbedContents":
                return Reply.json({"embeddings": [vector for _ in body["requests"]]})
            case "embedContent":
                return Reply.json({"embedding": vector, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}})
            case _:
                counted = {**vector, "statistics": {"token_count": 3.0, "truncated": False}}
                return Reply.json({"predictions": [{"embeddings": counted} for _ in body["instances"]]})


def problem_of(method: str, body: Any) -> str:
    """What Google would find wrong with a request, "" if nothing."""
    if method == "countTokens":
        body = body.get("generateContentRequest", body)
    elif method not in ("generateContent", "streamGenerateContent"):
        needed = {"batchEmbedContents": "requests", "embedContent": "content", "predict": "instances"}
        return "" if body.get(needed.get(method, "")) else f"Method {method} needs {needed.get(method)}"
    unknown = [*(body.keys() - _FIELDS), *(body.get("generationConfig", {}).keys() - _CONFIG_FIELDS)]
    contents = body.get("contents") or []
    for place, content in enumerate([*contents, body.get("systemInstruction", contents[0] if contents else {})]):
        if not content.get("parts"):
            return f"* GenerateContentRequest.contents[{place}].parts: contents.parts must not be empty."
        if content.get("role", "user") not in ("user", "model"):
            return "Please use a valid role: user, model."
        for part in content["parts"]:
            unknown += part.keys() - _PART_FIELDS
        results = sum("functionResponse" in part for part in content["parts"])
        if results and results != len(content["parts"]):
            return (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    return "" if contents else "* GenerateContentRequest.contents: contents is not specified"
