"""Google's Gemini API.

Addresses: https://ai.google.dev/api; errors: https://ai.google.dev/gemini-api/docs/troubleshooting.
"""

import re
from collections.abc import Mapping, Sequence

import httpx2

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import (
    AuthenticationFailed,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)
from send2llm.infrastructure.formats import gemini
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.sse import EventSplitter

BASE_URL = "https://generativelanguage.googleapis.com"
VERSION = "/v1beta"
"""The version of the API for addresses that name none; ``/v1`` has fewer of its features."""

MOST_MODELS = 1000
"""Models in one page of the list, which is the most that Google gives."""

ERROR_KINDS: Mapping[str, type[ProviderError]] = {
    "api_key_invalid": AuthenticationFailed,
    "unauthenticated": AuthenticationFailed,
    "billing_disabled": PermissionDenied,
    "permission_denied": PermissionDenied,
    "not_found": ModelNotAvailable,
    "quota_per_day": QuotaExhausted,
    "resource_exhausted": RateLimited,
    "unavailable": Overloaded,
    "deadline_exceeded": Overloaded,
}
"""The codes of https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto that mean more than their
HTTP status, and the reasons that come with them; the first in the order of the alphabet counts."""

_MODEL = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][\w.\-]*", re.ASCII)


class GeminiDialect:
    """``generateContent`` and what belongs to it, below one address."""

    capabilities = ALL

    error_kinds = ERROR_KINDS

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /models/{model}:generateContent``, or ``:streamGenerateContent``."""
        body = gemini.write_request(call.messages, call.parameters, self.target(call.model))
        if stream:
            return self._endpoint.post(self.path(call.model, "streamGenerateContent"), body, query="alt=sse")
        return self._endpoint.post(self.path(call.model, "generateContent"), body)

    def target(self, model: str) -> gemini.Target:
        """What requests for the model are written for."""
        return gemini.Target(model)

    def path(self, model: str, method: str) -> str:
        """The path of a ``method`` of the model; raises ``ModelNotAvailable`` for what cannot be a model's name."""
        return f"/{self.resource(model)}:{method}"

    def resource(self, model: str) -> str:
        """The model's full name."""
        if not _MODEL.fullmatch(model):
            raise no_model(model)
        return model if "/" in model else f"models/{model}"

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        return gemini.read_reply(body, _parsed(body))

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> "GeminiStreamReader":
        """For one stream."""
        return GeminiStreamReader()

    def list_models(self) -> WireRequest:
        """``GET /models``."""
        return self._endpoint.get("/models", query=f"pageSize={MOST_MODELS}")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The names, without what all of them begin with."""
        parsed = _parsed(body)
        listed = parsed.get("models", parsed.get("publisherModels", []))
        names = [entry.get("name") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        return [name.rpartition("models/")[2] for name in names if isinstance(name, str)]

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /models/{model}:batchEmbedContents``, for a hundred texts at once."""
        bodies = gemini.write_batches(self.resource(call.model), call.messages, call.parameters)
        return [self._endpoint.post(self.path(call.model, "batchEmbedContents"), body) for body in bodies]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All vectors, in their order."""
        return gemini.read_embeddings(bodies)

    def count_tokens(self, call: ProviderCall) -> WireRequest:
        """``POST /models/{model}:countTokens``."""
        request = gemini.write_request(call.messages, call.parameters, self.target(call.model))
        return self._endpoint.post(self.path(call.model, "countTokens"), self.counted(call.model, request))

    def counted(self, model: str, request: Body) -> Body:
        """The body that has the tokens of a ``request`` counted, tools and instructions included."""
        return {"generateContentRequest": {"model": self.resource(model), **request}}

    def read_token_count(self, body: bytes) -> int:
        """The number."""
        count = _parsed(body).get("totalTokens", 0)  # a number that is zero is left out
        if type(count) is not int:
            raise MalformedReply("The provider counts tokens with something that is no number.")
        return count


class GeminiStreamReader:
    """Reads events up to the end of the body: there is no other end mark."""

    done = False

    def __init__(self) -> None:
        self._answers = gemini.StreamedAnswers()

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return self._answers.is_whole

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        return self._answers.read(_parsed(event.data), event.raw)


def _parsed(body: bytes) -> Body:
    parsed = gemini.parse_reply(body)
    if parsed.get("error"):
        raise ReportedError(parsed["error"])
    return parsed


def no_model(model: str) -> ModelNotAvailable:
    """The error for a name that no model has, and that must not become part of an address."""
    return ModelNotAvailable(f"{model[:80]!r} cannot be the name of a model of Google's; check it.")


def versioned(base_url: str, version: str) -> str:
    """The address with the ``version`` of the API, if it names none."""
    return base_url if httpx2.URL(base_url).path.strip("/") else base_url.rstrip("/") + version


def key_header(config: ProviderConfig) -> Mapping[str, str]:
    """The headers of a provider that wants Google's API key."""
    key = {"x-goog-api-key": config.api_key} if config.api_key else {}
    return {**key, **config.headers}


def gemini_provider(config: ProviderConfig) -> Provider:
    """The entry point ``gemini``; it has no options. An address of one's own may do without a key."""
    config.options_of()
    if not config.base_url and not config.headers:
        config.require_api_key()
    endpoint = Endpoint(versioned(config.base_url or BASE_URL, VERSION), key_header(config))
    return config.over_http(GeminiDialect(endpoint))
