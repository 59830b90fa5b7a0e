"""Models on Amazon Bedrock, through Converse.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/ and the service models of botocore
(``bedrock-runtime`` for the calls, ``bedrock`` for the list of models, which another host has).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)
from send2llm.infrastructure.formats import bedrock
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.providers.capabilities import ALL
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Event, ReportedError, Splitter, WireRequest
from send2llm.infrastructure.providers.openai_chat import bearer

VENDORS = frozenset({"ai21", "amazon", "anthropic", "cohere", "deepseek", "meta", "mistral", "openai", "qwen"})
"""Vendors in the names of models (``us.anthropic.claude-...``), as far as they make a difference here or are usual."""

ERROR_KINDS: Mapping[str, type[ProviderError]] = {
    "accessdeniedexception": PermissionDenied,
    "expiredtokenexception": AuthenticationFailed,
    "incompletesignatureexception": AuthenticationFailed,
    "internalserverexception": Overloaded,
    "invalidsignatureexception": AuthenticationFailed,
    "missingauthenticationtokenexception": AuthenticationFailed,
    "modelerrorexception": Overloaded,
    "modelnotreadyexception": Overloaded,
    "modelstreamerrorexception": Overloaded,
    "modeltimeoutexception": Overloaded,
    "resourcenotfoundexception": ModelNotAvailable,
    "servicequotaexceededexception": QuotaExhausted,
    "serviceunavailableexception": Overloaded,
    "throttlingexception": RateLimited,
    "unrecognizedclientexception": AuthenticationFailed,
}
"""https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the errors of each operation."""

_STATUSES = {"validationexception": 400, "modelstreamerrorexception": 424, "throttlingexception": 429}
"""What errors inside a stream would have had as their status, where it is not 500."""


class BedrockDialect:
    """Converse for chat, ``invoke`` for embeddings; ``vendor`` is for models whose names do not tell it."""

    capabilities = ALL

    error_kinds = ERROR_KINDS

    def __init__(self, runtime: Endpoint, control: Endpoint, *, vendor: str = "") -> None:
        self._runtime = runtime
        self._control = control
        self._vendor = vendor

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """``POST /model/{modelId}/converse`` or ``.../converse-stream``."""
        body = bedrock.write_request(call.messages, call.parameters, self._vendor_of(call.model))
        return self._post(call.model, "converse-stream" if stream else "converse", body)

    def read_reply(self, body: bytes) -> Completion:
        """A whole reply."""
        return bedrock.read_reply(body, parse_reply(body))

    def splitter(self) -> Splitter:
        """Amazon's event stream."""
        from send2llm.infrastructure.providers.event_stream import EventStreamSplitter  # noqa: PLC0415 - an extra

        return EventStreamSplitter()

    def reader(self) -> "ConverseReader":
        """For one stream of events."""
        return ConverseReader()

    def list_models(self) -> WireRequest:
        """``GET /foundation-models`` of the control plane."""
        return self._control.get("/foundation-models")

    def read_models(self, body: bytes) -> Sequence[str]:
        """The ids; some can only be called through an inference profile (``us.`` before the id)."""
        listed = parse_reply(body).get("modelSummaries")
        entries = listed if isinstance(listed, list) else []
        ids = (entry.get("modelId") for entry in entries if isinstance(entry, dict))
        return [identifier for identifier in ids if isinstance(identifier, str)]

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``POST /model/{modelId}/invoke``, for Amazon's models one request for each text."""
        bodies = bedrock.write_embedding_requests(call.messages, call.parameters, self._vendor_of(call.model))
        return [self._post(call.model, "invoke", body) for body in bodies]

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """All of them in their order."""
        return bedrock.read_embeddings(bodies)

    def count_tokens(self, call: ProviderCall) -> WireRequest:
        """``POST /model/{modelId}/count-tokens``."""
        body = bedrock.write_request(call.messages, call.parameters, self._vendor_of(call.model))
        counted = ("messages", "system", "toolConfig", "additionalModelRequestFields")
        converse = {name: body[name] for name in counted if name in body}
        return self._post(call.model, "count-tokens", {"input": {"converse": converse}})

    def read_token_count(self, body: bytes) -> int:
        """``inputTokens``."""
        count = parse_reply(body).get("inputTokens")
        if not isinstance(count, int) or count < 0:
            raise MalformedReply("The provider counts the tokens in something that is no number.")
        return count

    def _post(self, model: str, operation: str, body: Body) -> WireRequest:
        return self._runtime.post(f"/model/{quote(model, safe='')}/{operation}", body)

    def _vendor_of(self, model: str) -> str:
        named = (word for word in re.split(r"[./:]", model) if word in VENDORS)
        return self._vendor or next(named, "")


class ConverseReader:
    """Reads events up to ``metadata``; a stream without it is whole if the answer has its stop reason."""

    def __init__(self) -> None:
        self._events = bedrock.ConverseEvents()
        self.done = False

    @property
    def is_whole(self) -> bool:
        """Whether the stop reason has come."""
        return self._events.stopped

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event."""
        fields = parse_reply(event.data)
        if len(fields) != 1:
            raise MalformedReply("An event of the provider's stream is not the JSON object that it should be.")
        ((kind, body),) = fields.items()
        if kind == "error" or kind.endswith("Exception"):
            raise ReportedError(_error(kind, body))
        deltas = self._events.read(kind, body, event.raw)
        self.done = self._events.stopped and self._events.reported
        return deltas


def _error(kind: str, body: Any) -> Any:
    said = body if isinstance(body, dict) else {}
    code = str(said.get("code") or kind)
    message = said.get("message") or said.get("originalMessage")
    return {"type": code, "code": _STATUSES.get(code.lower(), 500), "message": message}


def bedrock_provider(config: ProviderConfig) -> Provider:
    """The entry point ``bedrock``.

    With an ``api_key`` (a Bedrock API key) the requests bear it; else they are signed. Options: ``region``,
    ``profile``, ``vendor``, ``control_url``, and the names of the environment variables that hold an access key,
    ``access_key_id_variable``, ``secret_access_key_variable`` and ``session_token_variable``.
    """
    try:
        from send2llm.infrastructure.providers import aws_signing  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            f"providers.{config.name} speaks to Amazon Bedrock, which needs botocore: pip install 'send2llm[bedrock]'."
        ) from None
    options = config.options_of(**dict.fromkeys(_OPTIONS, str))
    region = options.get("region") or aws_signing.aws_region(options.get("profile"))
    if not region:
        raise ConfigurationError(
            f"providers.{config.name} needs to know its AWS region: set AWS_REGION, or region in its options."
        )
    base_url = config.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
    control_url = options.get("control_url") or base_url.replace("://bedrock-runtime", "://bedrock")
    headers = bearer(config)
    runtime = Endpoint(base_url, {"accept": "application/json, application/vnd.amazon.eventstream", **headers})
    dialect = BedrockDialect(runtime, Endpoint(control_url, headers), vendor=options.get("vendor", ""))
    if config.api_key:
        return config.over_http(dialect)
    variables = [options[name] for name in _KEY_OPTIONS if name in options]
    signer = aws_signing.aws_signer("bedrock", region, profile=options.get("profile"), key_variables=variables)
    return config.over_http(dialect, signer=signer)


_KEY_OPTIONS = ("access_key_id_variable", "secret_access_key_variable", "session_token_variable")
_OPTIONS = ("region", "profile", "vendor", "control_url", *_KEY_OPTIONS)
