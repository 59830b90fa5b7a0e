"""Errors of providers, mapped to the error tree.

Most codes are OpenAI's (https://platform.openai.com/docs/guides/error-codes); many servers have no codes but words
of their own for the same things, which are recognised where a different remedy depends on it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from send2llm.domain.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
)
from send2llm.infrastructure.providers.error_bodies import ErrorBody, error_type, read_error, read_error_body
from send2llm.infrastructure.providers.retry_after import retry_after

Kind = type[ProviderError]

_BY_CODE: Mapping[str, Kind] = {
    "context_length_exceeded": ContextLengthExceeded,
    "exceed_context_size_error": ContextLengthExceeded,  # llama.cpp
    "string_above_max_length": ContextLengthExceeded,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,  # Azure
    "data_inspection_failed": ContentFiltered,  # Alibaba
    "prohibited_content": ContentFiltered,
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "insufficient_balance": QuotaExhausted,
    "invalid_api_key": AuthenticationFailed,
    "authentication_error": AuthenticationFailed,
    "model_not_found": ModelNotAvailable,
    "engine_overloaded_error": Overloaded,  # Moonshot sends it with 429
    "overloaded_error": Overloaded,
    "billing_error": QuotaExhausted,  # Anthropic
}

_BY_WORDS: Sequence[tuple[re.Pattern[str], Kind]] = tuple(
    (re.compile(words, re.IGNORECASE), kind)
    for words, kind in (
        (
            (
                r"maximum context length|maximum model length|max(imum)? prompt length|context (size|window|length)"
                r"|prompt is too long|input token count .{0,40}exceeds|context the overflows|max_new_tokens. must be"
                r"|exceed context limit|`inputs` must have less than|reduce the length of the (messages|prompt)"
                r"|too large for model with|input is too long|too many tokens"
            ),
            ContextLengthExceeded,
        ),
        (
            (
                r"content management policy|content policy|flagged (by|for)|requires moderation|safety system"
                r"|inappropriate content|content filtering policy"
            ),
            ContentFiltered,
        ),
        (r"api key not valid|invalid api key|incorrect api key", AuthenticationFailed),
        (
            r"insufficient (balance|credits|funds)|credit balance is too low|specified (API )?usage limits",
            QuotaExhausted,
        ),
        (
            (
                r"not a valid model|model.{0,80}(not exist|not found|not supported)|invalid model\b|no such model"
                r"|unknown model|model identifier is invalid"
            ),
            ModelNotAvailable,
        ),
        # llama.cpp's status for it is 500, as if it were worth another try.
        (r"(image|audio|video) input is not supported", RequestRejected),
    )
)

_BY_STATUS: Mapping[int, Kind] = {
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: PermissionDenied,
    408: Overloaded,
    409: Overloaded,  # OpenAI: "the resource was updated by another request"; its SDK tries again, too
    425: Overloaded,
    429: RateLimited,
    498: Overloaded,  # Groq: no capacity in its flex tier
    501: RequestRejected,
    505: RequestRejected,
}

_ASKED_BEHIND = frozenset({408, 502, 504, *range(520, 525)})
"""Statuses by which a proxy says that whoever is behind it was asked and did not answer: it may have worked all the
same. Other errors come from the provider itself, which charges for answers only."""

_BY_TYPE: Mapping[str, int] = {
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "invalid_request_error": 400,
    "badrequesterror": 400,  # vLLM
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "timeout_error": 504,
}
"""What an error inside a reply with status 200 would have had as its status."""

_HINTS: Mapping[Kind, str] = {
    AuthenticationFailed: "Check the api_key of [providers.{name}].",
    PermissionDenied: "Ask the provider for access to it, or use another model.",
    ModelNotAvailable: "Check the name of the model and the base_url of [providers.{name}].",
    ContextLengthExceeded: "Shorten the conversation, ask for fewer tokens, or use a model with a larger context.",
    QuotaExhausted: "Add credit or raise the limit at the provider.",
}

_SOMEBODYS_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai)[-_][\w\-*.]{8,}|\bAIza[\w\-]{20,}|\bya29\.[\w\-.]{8,}|\bBearer +\S+"
)


class ProviderErrors:
    """Makes errors of one provider: ``secrets`` are replaced in whatever the provider says.

    ``kinds`` are codes of its own.
    """

    def __init__(self, name: str, secrets: Sequence[str] = (), kinds: Mapping[str, Kind] | None = None) -> None:
        self._name = name
        self._kinds = {**_BY_CODE, **kinds} if kinds else _BY_CODE
        # Replacing "none", "local" and other stand-ins for a key would only garble messages.
        self._secrets = [secret for secret in secrets if len(secret) >= 8]

    def from_reply(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """The error that a reply with a status other than 200 means."""
        if 300 <= status < 400:
            return ProviderError(
                f"{self._name} answered with a redirect (HTTP {status}), which is not followed: put the address "
                f"that it leads to into the base_url of [providers.{self._name}].",
                provider=self._name,
                status=status,
            )
        error = read_error_body(body)
        error = replace(error, codes=error.codes | error_type(headers))
        return self._error(error, status, headers, self._kind(error, status))

    def from_event(self, error: object, headers: Mapping[str, str]) -> ProviderError:
        """The error that an ``error`` object inside a reply or stream with status 200 means."""
        read = read_error({"error": error})
        typed = (_BY_TYPE[code] for code in sorted(read.codes) if code in _BY_TYPE)
        status = read.status or next(typed, 500)
        inside = self._error(read, status, headers, self._kind(read, status))
        inside.may_be_charged = True  # it had begun to answer
        return inside

    def _error(self, error: ErrorBody, status: int, headers: Mapping[str, str], kind: Kind) -> ProviderError:
        said = self._scrubbed(error.message) or "without a message"
        hint = _HINTS.get(kind, "").format(name=self._name)
        made = kind(
            f"{self._name} answered with HTTP {status}: {said} {hint}".rstrip(),
            provider=self._name,
            status=status,
            retry_after=retry_after(headers, error.message, error.wait) if kind.retryable else None,
        )
        made.may_be_charged = status in _ASKED_BEHIND
        return made

    def _scrubbed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return _SOMEBODYS_KEY.sub("[key]", text)

    def _kind(self, error: ErrorBody, status: int) -> Kind:
        for code in sorted(error.codes):
            if code in self._kinds:
                return self._kinds[code]
        if status != 429:  # what is said there is about limits in any case, which some servers call context limits
            for words, kind in _BY_WORDS:
                if words.search(error.message):
                    return kind
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if status == 404:
            return ModelNotAvailable
        return Overloaded if status >= 500 else RequestRejected
