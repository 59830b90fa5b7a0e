"""Providers that speak the format of OpenAI's responses: OpenAI, Azure's v1 path, and those who follow it."""

from collections.abc import Mapping, Sequence

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import ContentFiltered, ModelNotAvailable, ProviderError, RequestRejected
from send2llm.infrastructure.formats import responses
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, StreamReader, WireRequest
from send2llm.infrastructure.providers.openai_chat import END_MARK, OpenAIChatDialect, bearer

_FAILED = ("failed", "cancelled")  # tuples: what is looked for in them may be anything
_FAILURES = ("response.failed", "response.cancelled")


class OpenAIResponsesDialect(OpenAIChatDialect):
    """OpenAI's responses; embeddings and the list of models are as with chat completions.

    The provider keeps nothing unless it shall ``store``: the conversation is kept here.
    """

    error_kinds: Mapping[str, type[ProviderError]] = {
        # https://platform.openai.com/docs/api-reference/responses/object (``error.code``)
        "invalid_prompt": RequestRejected,
        "data_residency_mismatch": RequestRejected,
        "bio_policy": ContentFiltered,
        "misalignment_policy_violation": ContentFiltered,
        "image_content_policy_violation": ContentFiltered,
        "deploymentnotfound": ModelNotAvailable,  # Azure
        **dict.fromkeys(
            (
                "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large",
                "image_too_small", "image_parse_error", "invalid_image_mode", "image_file_too_large",
                "unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found",
            ),
            RequestRejected,
        ),
    }  # fmt: skip

    def __init__(self, endpoint: Endpoint, *, store: bool = False) -> None:
        super().__init__(endpoint)
        self._store = store

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /responses``."""
        body = responses.write_request(call.model, call.messages, call.parameters, stream=stream, store=self._store)
        return self._post("/responses", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        parsed = parse_reply(body)
        _refuse_failure(parsed)
        return responses.read_reply(body, parsed)

    def reader(self) -> StreamReader:
        """For one stream of events."""
        return ResponseReader()


class ResponseReader:
    """Reads events up to the one that has the whole response; a stream without it is broken."""

    def __init__(self) -> None:
        self._events = responses.EventsReader()
        self.done = self.is_whole = False

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        if event.data == END_MARK:  # of some servers, behind the last event; before it, it means nothing
            return ()
        parsed = parse_reply(event.data)
        if parsed.get("type") in _FAILURES:
            _refuse_failure(parsed.get("response") or {"status": "failed"})
        if parsed.get("type") == "error" or parsed.get("error"):
            raise ReportedError(parsed.get("error") or {name: parsed.get(name) for name in ("code", "message")})
        deltas = self._events.read(parsed, event.raw)
        self.done = self._events.ended
        return deltas


def _refuse_failure(response: object) -> None:
    """Raise what a response says that has failed."""
    if not isinstance(response, dict):
        return
    if response.get("error") or response.get("status") in _FAILED:
        raise ReportedError(response.get("error") or {"message": f"The response is {response['status']}."})


def openai_responses_provider(config: ProviderConfig) -> Provider:
    """The entry point ``openai-responses``; its option is the parameter of ``OpenAIResponsesDialect``."""
    options = config.options_of(store=bool)
    return config.over_http(OpenAIResponsesDialect(Endpoint(config.require_base_url(), bearer(config)), **options))
