"""Providers that speak the format of OpenAI's chat completions: OpenAI and the many that follow it."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, StreamReader, WireRequest
from send2llm.infrastructure.providers.open_answers import OpenAnswers
from send2llm.infrastructure.providers.sse import EventSplitter

END_MARK = b"[DONE]"
OPENAI = "api.openai.com"
"""Where the newer name for the limit of tokens is the one that every model knows."""


class OpenAIChatDialect:
    """OpenAI's chat completions, with the differences that there are among those who follow them.

    ``output_limit`` is the one field for the limit of tokens that the server heeds; without it, limits go under the
    name that the caller gave them, or the ``usual_output_limit``. ``stream_usage`` is whether streams are asked to
    report their usage: some servers refuse to be asked.
    """

    capabilities = ALL

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        output_limit: openai_chat.OutputLimitField | None = None,
        usual_output_limit: openai_chat.OutputLimitField = "max_tokens",
        stream_usage: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._stream_usage = stream_usage
        self._only_output_limit = output_limit is not None
        self._output_limit: openai_chat.OutputLimitField = output_limit or usual_output_limit

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /chat/completions``."""
        body = openai_chat.write_request(
            call.model,
            call.messages,
            call.parameters,
            stream=stream,
            stream_usage=self._stream_usage,
            output_limit=self._output_limit,
            only_output_limit=self._only_output_limit,
        )
        return self._post("/chat/completions", body)

    def _post(self, operation: str, body: Mapping[str, Any]) -> WireRequest:
        """A request to the address of an operation; some have one for each model."""
        return self._endpoint.post(operation, body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        parsed = openai_chat.parse_reply(body)
        if parsed.get("error"):
            raise ReportedError(parsed["error"])
        return openai_chat.read_reply(body, parsed)

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> StreamReader:
        """For one stream of chunks."""
        return ChunkReader()

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /embeddings``, as often as the inputs need it."""
        bodies = openai_chat.write_embedding_requests(call.model, call.messages, call.parameters)
        return [self._post("/embeddings", body) for body in bodies]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All vectors in one answer."""
        for body in bodies:
            parsed = openai_chat.parse_reply(body)
            if parsed.get("error"):
                raise ReportedError(parsed["error"])
        return openai_chat.read_embeddings(bodies)

    def list_models(self) -> WireRequest:
        """``GET /models``."""
        return self._endpoint.get("/models")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The ids, in any of the shapes that there are."""
        return read_model_ids(body)


class ChunkReader:
    """Reads chunks up to ``[DONE]``; a stream without it is whole if every answer in it has a finish reason."""

    def __init__(self) -> None:
        self._answers = OpenAnswers()
        self.done = False

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return self._answers.all_finished

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one chunk."""
        if event.data == END_MARK:
            self.done = True
            return ()
        chunk = openai_chat.parse_reply(event.data)
        if chunk.get("error"):
            raise ReportedError(chunk["error"])
        deltas = openai_chat.read_chunk(chunk, event.data, event.raw)
        self._answers.follow(deltas)
        return deltas


def read_model_ids(body: bytes) -> Sequence[str]:
    """The ids in a list of models: ``{"data": [{"id"}]}``, ``{"models": [...]}``, or the bare list."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedReply("The provider lists its models in something that is not JSON.") from None
    listed = parsed.get("data", parsed.get("models")) if isinstance(parsed, dict) else parsed
    entries = listed if isinstance(listed, list) else []
    return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


def bearer(config: ProviderConfig) -> Mapping[str, str]:
    """The headers of a provider that wants its key as a bearer token."""
    key = {"authorization": f"Bearer {config.api_key}"} if config.api_key else {}
    return {**key, **config.headers}


def openai_chat_provider(config: ProviderConfig) -> Provider:
    """The entry point ``openai``; its options are the parameters of ``OpenAIChatDialect``."""
    options = config.options_of(output_limit=str, stream_usage=bool)
    endpoint = Endpoint(config.base_url, bearer(config))
    if endpoint.host == OPENAI:
        options["usual_output_limit"] = "max_completion_tokens"
    return config.over_http(OpenAIChatDialect(endpoint, **options))
