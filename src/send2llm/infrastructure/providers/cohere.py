"""Cohere's models, through version 2 of its API.

Source: https://docs.cohere.com/reference/about and the SDK's ``cohere.v2``.
"""

from collections.abc import Sequence
from typing import Any

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.infrastructure.formats import cohere
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.openai_chat import bearer
from send2llm.infrastructure.providers.sse import EventSplitter

END_MARK = b"[DONE]"
"""Cohere's SDK takes it for an end; the stream itself ends with ``message-end``."""


class CohereDialect:
    """Cohere's chat and embeddings."""

    capabilities = ALL

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /v2/chat``."""
        body = cohere.write_request(call.model, call.messages, call.parameters, stream=stream)
        return self._endpoint.post("/v2/chat", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply; one that failed says so in its reason to end."""
        parsed = parse_reply(body)
        _raise_failure(parsed.get("finish_reason"), None)
        return cohere.read_reply(body, parsed)

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> "CohereReader":
        """For one stream of events."""
        return CohereReader()

    def list_models(self) -> WireRequest:
        """``GET /v1/models``, as many at once as there may be."""
        return self._endpoint.get("/v1/models", query="page_size=1000")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The names."""
        listed = parse_reply(body).get("models")
        names = (model.get("name") for model in (listed if isinstance(listed, list) else []) if isinstance(model, dict))
        return [name for name in names if isinstance(name, str)]

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /v2/embed``."""
        bodies = cohere.write_embedding_requests(call.model, call.messages, call.parameters)
        return [self._endpoint.post("/v2/embed", body) for body in bodies]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All of them in their order."""
        return cohere.read_embeddings(bodies)


class CohereReader:
    """Reads events up to ``message-end``, without which no stream is whole."""

    is_whole = False

    def __init__(self) -> None:
        self._events = cohere.ChatEvents()
        self.done = False

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        if event.data == END_MARK:
            return ()
        parsed = parse_reply(event.data)
        delta = parsed.get("delta")
        if parsed.get("type") == "message-end" and isinstance(delta, dict):
            _raise_failure(delta.get("finish_reason"), delta.get("error"))
        elif "type" not in parsed and "message" in parsed:
            raise ReportedError(parsed["message"])
        deltas = self._events.read(parsed, event.raw)
        self.done = self._events.ended
        return deltas


def _raise_failure(reason: Any, said: Any) -> None:
    if said or (isinstance(reason, str) and reason in cohere.FAILURES):
        raise ReportedError(said if isinstance(said, str) else cohere.FAILURES.get(reason, "The generation failed."))


def cohere_provider(config: ProviderConfig) -> Provider:
    """The entry point ``cohere``; it has no options."""
    config.options_of()
    return config.over_http(CohereDialect(Endpoint(config.require_base_url(), bearer(config))))
