"""Anthropic, and servers that speak the format of its messages.

https://platform.claude.com/docs/en/api/overview. Versions of the API:
https://platform.claude.com/docs/en/api/versioning and https://platform.claude.com/docs/en/api/migration-2026-10-21.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import NO_EXTRAS
from send2llm.infrastructure.formats import anthropic
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, WireRequest
from send2llm.infrastructure.providers.openai_chat import read_model_ids
from send2llm.infrastructure.providers.sse import EventSplitter

VERSION = "2026-10-21"
"""The version of the API that is spoken where nothing else is asked for."""

OLD_VERSION = "2023-06-01"
"""The one before, which takes what the newer one refuses: sampling parameters, above all."""

MODELS_IN_A_PAGE = 1000
"""The most that Anthropic gives at once."""

_SAMPLING = ("temperature", "top_p", "top_k")


class AnthropicDialect:
    """Anthropic's messages.

    ``version`` pins the version of the API for all calls. ``max_tokens`` is the limit for callers who set none;
    ``system_messages`` tells whether the models take instructions among the messages. Both are known of Claude models.
    """

    capabilities = ALL

    def __init__(
        self,
        endpoint: Endpoint,
        api_key: str | None,
        headers: Mapping[str, str] = NO_EXTRAS,
        *,
        version: str | None = None,
        max_tokens: int | None = None,
        system_messages: bool | None = None,
    ) -> None:
        """``headers`` are those of the operator, which the ``endpoint`` has, too, all but the beta features."""
        self._endpoint = endpoint
        self._api_key = api_key
        self._configured = {name.lower(): value for name, value in headers.items()}
        self._version = version
        self._max_tokens = max_tokens
        self._system_messages = system_messages

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /v1/messages``."""
        body = anthropic.write_request(
            call.model,
            call.messages,
            call.parameters,
            stream=stream,
            max_tokens=self._max_tokens,
            system_messages=self._system_messages,
        )
        return self._endpoint.post("/v1/messages", body, *self._headers(call))

    def count_tokens(self, call: ProviderCall) -> WireRequest:
        """``POST /v1/messages/count_tokens``."""
        body = anthropic.write_prompt(call.model, call.messages, call.parameters, system_messages=self._system_messages)
        counted = {name: value for name, value in body.items() if name in _COUNTED}
        return self._endpoint.post("/v1/messages/count_tokens", counted, *self._headers(call))

    def read_token_count(self, body: bytes) -> int:
        """``{"input_tokens": 14}``."""
        count = anthropic.parse_reply(body).get("input_tokens")
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
        raise MalformedReply("The provider's count of tokens is no number.")

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        parsed = anthropic.parse_reply(body)
        if parsed.get("error"):
            raise ReportedError(parsed["error"])
        return anthropic.read_reply(body, parsed)

    def splitter(self) -> EventSplitter:
        """Server-sent events."""
        return EventSplitter()

    def reader(self) -> "MessageStreamReader":
        """For one stream of events."""
        return MessageStreamReader()

    def list_models(self) -> WireRequest:
        """``GET /v1/models``."""
        return self._page("")

    def next_models(self, body: bytes) -> WireRequest | None:
        """The page behind the last model of this one."""
        page = anthropic.parse_reply(body)
        last = page.get("last_id")
        return (
            self._page(f"&after_id={quote(last, safe='')}") if page.get("has_more") and isinstance(last, str) else None
        )

    def read_models(self, body: bytes) -> Sequence[str]:
        """The ids."""
        return read_model_ids(body)

    def _page(self, after: str) -> WireRequest:
        headers = self._versioned(self._version or VERSION, "")
        return self._endpoint.get("/v1/models", *headers, query=f"limit={MODELS_IN_A_PAGE}{after}")

    def _headers(self, call: ProviderCall) -> list[tuple[bytes, bytes]]:
        """Version, key and beta features: the caller's own, if it speaks this format."""
        parameters = call.parameters
        theirs = parameters.extras if parameters.format == anthropic.FORMAT else NO_EXTRAS
        version = self._version or theirs.get(anthropic.VERSION_FIELD) or _version_for(call)
        return self._versioned(version, theirs.get(anthropic.BETA_FIELD, ""))

    def _versioned(self, version: str, beta: str) -> list[tuple[bytes, bytes]]:
        headers = {anthropic.VERSION_FIELD: version}
        if self._api_key:
            if version >= VERSION:
                headers["authorization"] = f"Bearer {self._api_key}"
            else:
                headers["x-api-key"] = self._api_key
        if {"authorization", "x-api-key"} & self._configured.keys():
            headers = {anthropic.VERSION_FIELD: version}
        written = [(name, value) for name, value in headers.items() if name not in self._configured]
        betas = ",".join(filter(None, (self._configured.get(anthropic.BETA_FIELD), beta)))
        if betas:
            written.append((anthropic.BETA_FIELD, betas))
        return [(name.encode(), value.encode("latin-1", "replace")) for name, value in written]


_COUNTED = frozenset(
    {
        "cache_control", "context_management", "mcp_servers", "messages", "model", "output_config", "speed", "system",
        "thinking", "tool_choice", "tools",
    }
)  # fmt: skip
"""The fields that a request to count tokens may have."""


def _version_for(call: ProviderCall) -> str:
    """The newer version, unless it refuses what the call carries."""
    if any(getattr(call.parameters, name) is not None for name in _SAMPLING):
        return OLD_VERSION
    refused = anthropic.has_document(call.messages) or anthropic.has_citations_of_user(call.messages)
    return OLD_VERSION if refused else VERSION


class MessageStreamReader:
    """Reads events up to ``message_stop``; a stream without it is whole if it has told why the answer ended."""

    def __init__(self) -> None:
        self._events = anthropic.EventReader()
        self.done = False

    @property
    def is_whole(self) -> bool:
        """Whether the answer had come to its end."""
        return self._events.finished

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        body = anthropic.parse_reply(event.data)
        if body.get("type") == "error" or body.get("error"):
            raise ReportedError(body.get("error"))
        deltas = self._events.read(body, event.raw)
        self.done = self._events.done
        return deltas


def anthropic_provider(config: ProviderConfig) -> Provider:
    """The entry point ``anthropic``; its options are the parameters of ``AnthropicDialect``."""
    options = config.options_of(version=str, max_tokens=int, system_messages=bool)
    fixed = {name: value for name, value in config.headers.items() if name.lower() != anthropic.BETA_FIELD}
    endpoint = Endpoint(config.require_base_url(), fixed)
    return config.over_http(AnthropicDialect(endpoint, config.api_key, config.headers, **options))
