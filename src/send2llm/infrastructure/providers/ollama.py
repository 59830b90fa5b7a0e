"""Models that Ollama runs, on one's own machine or in its cloud, through its own API.

Source: https://docs.ollama.com/api, and Ollama's ``api/types.go`` and ``server/routes.go``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.infrastructure.formats import ollama
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.ndjson import NdjsonSplitter
from send2llm.infrastructure.providers.openai_chat import bearer

USUAL_URL = "http://127.0.0.1:11434"
"""Where Ollama listens, unless it is told otherwise."""


class OllamaDialect:
    """Ollama's chat and embeddings; ``usual`` is what requests hold unless the caller says otherwise.

    A conversation that does not fit into the model's context is an error where ``truncate`` and ``shift`` are off;
    Ollama would leave out the beginning without a word.
    """

    capabilities = ALL

    def __init__(self, endpoint: Endpoint, usual: Mapping[str, Any], *, truncate: bool = False) -> None:
        self._endpoint = endpoint
        self._chat = {**usual, "truncate": truncate, "shift": truncate}
        self._embed = {**usual, "truncate": truncate}

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /api/chat``."""
        body = ollama.write_request(call.model, call.messages, call.parameters, self._chat, stream=stream)
        return self._endpoint.post("/api/chat", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        return ollama.read_reply(body, _without_error(parse_reply(body)))

    def splitter(self) -> NdjsonSplitter:
        """Lines of JSON."""
        return NdjsonSplitter()

    def reader(self) -> "OllamaReader":
        """For one stream of lines."""
        return OllamaReader()

    def list_models(self) -> WireRequest:
        """``GET /api/tags``."""
        return self._endpoint.get("/api/tags")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The names, with their tags."""
        listed = parse_reply(body).get("models")
        entries = [entry for entry in (listed if isinstance(listed, list) else []) if isinstance(entry, dict)]
        names = (entry.get("model") or entry.get("name") for entry in entries)
        return [name for name in names if isinstance(name, str)]

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /api/embed``."""
        body = ollama.write_embedding_request(call.model, call.messages, call.parameters, self._embed)
        return [self._endpoint.post("/api/embed", body)]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All of them in their order."""
        return ollama.read_embeddings(parse_reply(bodies[0]))


class OllamaReader:
    """Reads lines up to the one that is ``done``, without which no stream is whole."""

    is_whole = False

    def __init__(self) -> None:
        self._lines = ollama.ChatLines()
        self.done = False

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one line."""
        deltas = self._lines.read(_without_error(parse_reply(event.data)), event.raw)
        self.done = self._lines.ended
        return deltas


def _without_error(parsed: Body) -> Body:
    if parsed.get("error"):
        raise ReportedError(parsed["error"])
    return parsed


def ollama_provider(config: ProviderConfig) -> Provider:
    """The entry point ``ollama``.

    Options: ``num_ctx``, the size of the context in tokens; ``keep_alive``, how long the model stays loaded
    (``10m``); ``truncate``, whether conversations that are too long may lose their beginning.
    """
    options = config.options_of(num_ctx=int, keep_alive=str, truncate=bool)
    usual: dict[str, Any] = {"options": {"num_ctx": options["num_ctx"]}} if "num_ctx" in options else {}
    if "keep_alive" in options:
        usual["keep_alive"] = options["keep_alive"]
    endpoint = Endpoint(
        config.base_url or USUAL_URL, {"accept": "application/x-ndjson, application/json", **bearer(config)}
    )
    return config.over_http(OllamaDialect(endpoint, usual, truncate=options.get("truncate", False)))
