"""A fake Azure OpenAI on the wire: OpenAI's format at Azure's addresses, with what its content filter adds.

It insists on a key (the header ``api-key``) or a token, on the version of the API where deployments have addresses of
their own, and on deployments that there are.
"""

import re
from collections.abc import Sequence
from typing import Any

from send2llm.testing import provider_server
from send2llm.testing.openai_server import (
    DONE,
    ErrorReply,
    FakeOpenAIServer,
    Reply,
    StreamReply,
    chunk,
    completion,
    completion_chunks,
    event,
)
from send2llm.testing.provider_server import Behaviour, Body, RecordedRequest

__all__ = ["CLEAN", "FILTERED", "FakeAzureServer", "filtered_completion", "filtered_stream"]

CLEAN: Body = {
    kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")
} | {"jailbreak": {"filtered": False, "detected": False}}
"""What the filter says of what it let through."""

FILTERED: Body = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {**CLEAN, "violence": {"filtered": True, "severity": "medium"}},
    },
}
"""The error for a prompt that it did not let through."""

_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<name>[^/]+)/(chat/completions|embeddings)$")


def filtered_completion(text: str = "Hello!", **more: Any) -> Body:
    """The body of a whole reply, with the filter's findings."""
    body = completion(text, **more)
    body["choices"][0]["content_filter_results"] = CLEAN
    return {**body, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": CLEAN}]}


def filtered_stream(text: str = "Hello!", **more: Any) -> list[bytes]:
    """The events of a stream: the first has no choices, and only what the filter says of the prompt."""
    first = {**chunk(), "choices": [], "created": 0, "id": "", "model": "", "object": ""}
    first["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": CLEAN}]
    chunks = completion_chunks(text, **more)
    for one in chunks:
        for choice in one["choices"]:
            choice["content_filter_results"] = {} if choice["delta"].get("role") else CLEAN
    return [event(one) for one in (first, *chunks)] + [DONE]


class FakeAzureServer(FakeOpenAIServer):
    """Azure OpenAI with some ``deployments``; ``key`` is the key, or the token, that it knows."""

    def __init__(
        self, *behaviours: Behaviour, deployments: Sequence[str] = ("fake-model",), key: str = "azure-key-0123456789"
    ) -> None:
        super().__init__(*behaviours, models=deployments)
        self.key = key

    def at_once(self, request: RecordedRequest) -> provider_server.Reply | None:
        """What is wrong with the key, the address or the deployment; the list of models."""
        headers = request.headers
        if self.key not in (headers.get("api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
            return Reply.json(
                {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}}, 401
            )
        by_deployment = _DEPLOYMENT.search(request.path)
        versioned = "api-version=" in request.query
        if not (request.path.startswith("/openai/v1/") or (versioned and request.path.startswith("/openai/"))):
            return Reply.json({"error": {"code": "404", "message": "Resource not found"}}, 404)
        if request.method == "POST":
            name = by_deployment["name"] if by_deployment else request.json["model"]
            if name not in self.models:
                message = "The API deployment for this resource does not exist."
                return ErrorReply(404, message=message, code="DeploymentNotFound")
        return super().at_once(request)

    def usual(self, request: RecordedRequest) -> Behaviour:
        """A greeting that the filter let through."""
        if not request.path.endswith("/chat/completions"):
            return super().usual(request)
        if not request.json.get("stream"):
            return Reply.json(filtered_completion())
        asked = (request.json.get("stream_options") or {}).get("include_usage")
        return StreamReply(filtered_stream() if asked else filtered_stream(usage=None))
