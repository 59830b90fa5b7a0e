"""Providers that speak the format of OpenAI's chat completions: OpenAI and the many that follow it."""

from collections.abc import Mapping, Sequence

import orjson

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.sse import EventSplitter

END_MARK = b"[DONE]"


class OpenAIChatDialect:
    """OpenAI's chat completions, with the differences that there are among those who follow them.

    ``output_limit`` is the field for a limit that the caller did not name, ``stream_usage`` whether streams are asked
    to report their usage: some servers refuse to be asked.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        output_limit: openai_chat.OutputLimitField | None = None,
        stream_usage: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._stream_usage = stream_usage
        self._output_limit: openai_chat.OutputLimitField = output_limit or (
            "max_completion_tokens" if endpoint.host == "api.openai.com" else "max_tokens"
        )

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /chat/completions``."""
        body = openai_chat.write_request(
            call.model,
            call.messages,
            call.parameters,
            stream=stream,
            stream_usage=self._stream_usage,
            output_limit=self._output_limit,
        )
        return self._endpoint.post("/chat/completions", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        parsed = openai_chat.parse_reply(body)
        if parsed.get("error"):
            raise ReportedError(parsed["error"])
        return openai_chat.read_reply(body, parsed)

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> "ChunkReader":
        """For one stream of chunks."""
        return ChunkReader()

    def list_models(self) -> WireRequest:
        """``GET /models``."""
        return self._endpoint.get("/models")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The ids, in any of the shapes that there are."""
        return read_model_ids(body)


class ChunkReader:
    """Reads chunks up to ``[DONE]``; a stream without it is whole if every answer in it has a finish reason."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self.done = False

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return bool(self._finished) and not self._open

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one chunk."""
        if event.data == END_MARK:
            self.done = True
            return ()
        chunk = openai_chat.parse_reply(event.data)
        if chunk.get("error"):
            raise ReportedError(chunk["error"])
        deltas = openai_chat.read_chunk(chunk, event.data, event.raw)
        for delta in deltas:
            if delta.finish_reason is not None:
                self._finished.add(delta.index)
                self._open.discard(delta.index)
            elif delta.index not in self._finished and delta.usage is None:
                self._open.add(delta.index)
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
    dialect = OpenAIChatDialect(Endpoint(config.base_url, bearer(config)), **options)
    return config.over_http(dialect)
