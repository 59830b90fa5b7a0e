"""Mistral: OpenAI's chat completions with differences of its own.

https://docs.mistral.ai/api
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import MalformedReply, ModelNotAvailable, ProviderError, RateLimited
from send2llm.infrastructure.formats import mistral, openai_chat
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.mistral.replies import FAILED
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.open_answers import OpenAnswers
from send2llm.infrastructure.providers.openai_chat import END_MARK, bearer
from send2llm.infrastructure.providers.sse import EventSplitter

_TALKS = ("completion_chat", "completion_fim")


class MistralDialect:
    """Mistral's chat completions and embeddings."""

    capabilities = ALL

    error_kinds: Mapping[str, type[ProviderError]] = {
        "invalid_model": ModelNotAvailable,
        "service_tier_capacity_exceeded": RateLimited,
    }

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /chat/completions``."""
        body = mistral.write_request(call.model, call.messages, call.parameters, stream=stream)
        return self._endpoint.post("/chat/completions", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        return mistral.read_reply(_parsed(body))

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> "MistralReader":
        """For one stream."""
        return MistralReader()

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /embeddings``."""
        bodies = mistral.write_embedding_requests(call.model, call.messages, call.parameters)
        return [self._endpoint.post("/embeddings", body) for body in bodies]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All vectors in one answer."""
        for body in bodies:
            _parsed(body)
        return replace(openai_chat.read_embeddings(bodies), format=mistral.FORMAT, body=b"")

    def list_models(self) -> WireRequest:
        """``GET /models``."""
        return self._endpoint.get("/models")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The models that talk or embed, and not those that only hear, moderate or read scans."""
        try:
            listed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise MalformedReply("The provider lists its models in something that is not JSON.") from None
        entries = listed.get("data") if isinstance(listed, dict) else None
        models = [entry for entry in entries or [] if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        return [model["id"] for model in models if _is_of_use(model)]


class MistralReader:
    """Reads events up to ``[DONE]``; a stream without it is whole if every answer in it has a finish reason."""

    def __init__(self) -> None:
        self._chunks = mistral.MistralChunks()
        self._answers = OpenAnswers()
        self.done = False

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return self._answers.all_finished

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        if event.data == END_MARK:
            self.done = True
            return ()
        deltas = self._chunks.read(_parsed(event.data))
        self._answers.follow(deltas)
        return deltas


def _parsed(body: bytes) -> Body:
    """A reply or an event that is none of the shapes of an error, nor an answer that the model broke off."""
    parsed = openai_chat.parse_reply(body)
    if parsed.get("error"):
        raise ReportedError(parsed["error"])
    if parsed.get("object") == "error":
        raise ReportedError(parsed)
    choices = parsed.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("finish_reason") == FAILED:
            raise ReportedError("The model failed in the midst of its answer.")
    return parsed


def _is_of_use(model: Body) -> bool:
    capabilities = model.get("capabilities")
    if not isinstance(capabilities, dict) or any(capabilities.get(name) for name in _TALKS):
        return True
    return "embed" in model["id"]


def mistral_provider(config: ProviderConfig) -> Provider:
    """The entry point ``mistral``; it has no options."""
    config.options_of()
    return config.over_http(MistralDialect(Endpoint(config.require_base_url(), bearer(config))))
