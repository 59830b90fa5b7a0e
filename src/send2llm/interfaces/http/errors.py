"""What an error looks like to a caller: in OpenAI's shape under ``/v1``, as an RFC 9457 problem under ``/api``."""

from dataclasses import dataclass

import orjson

from send2llm.application.patience import CallerLeft
from send2llm.domain.errors import (
    AuthenticationFailed,
    CompletionInProgress,
    Conflict,
    ConnectionFailed,
    IdempotencyKeyReused,
    InvalidRequest,
    ModelNotAvailable,
    NotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    ProviderTimedOut,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    Send2LLMError,
    StoreUnavailable,
    UnknownModel,
)

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a caller that left; nobody reads it but logs and metrics."""


class Unauthorized(Send2LLMError):
    """No key, or a wrong one."""

    code = "invalid_api_key"


class BodyTooLarge(Send2LLMError):
    """The request's body is longer than the service takes."""

    code = "body_too_large"


# The first class that fits counts. The type is OpenAI's, as its SDKs and documentation name it.
_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownModel, 404, "invalid_request_error"),
    (InvalidRequest, 400, "invalid_request_error"),
    (Unauthorized, 401, "authentication_error"),
    (BodyTooLarge, 413, "invalid_request_error"),
    (NotFound, 404, "invalid_request_error"),
    (IdempotencyKeyReused, 422, "invalid_request_error"),
    (Conflict, 409, "conflict_error"),
    (StoreUnavailable, 503, "server_error"),
    (RequestRejected, 400, "invalid_request_error"),
    (ModelNotAvailable, 404, "invalid_request_error"),
    (QuotaExhausted, 429, "insufficient_quota"),
    (RateLimited, 429, "rate_limit_error"),
    (Overloaded, 503, "server_error"),
    (ProviderTimedOut, 504, "server_error"),
    # Our key at the provider is not the caller's: a 401 would send the caller looking at the wrong one.
    (AuthenticationFailed, 502, "server_error"),
    (PermissionDenied, 502, "server_error"),
    (ConnectionFailed, 502, "server_error"),
    (ProviderError, 502, "server_error"),
    (CallerLeft, CLIENT_CLOSED_REQUEST, "client_closed_request"),
)

UNEXPECTED = "Something went wrong here; the service's log tells more under this request's id."


@dataclass(frozen=True, slots=True)
class ErrorView:
    """An error, ready to be shown."""

    status: int
    type: str
    code: str
    message: str
    param: str | None
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, error: Exception) -> "ErrorView":
        """How ``error`` is shown; what is not one of ours shows nothing of its inside."""
        for kind, status, type_ in _STATUSES:
            if isinstance(error, kind):
                code, param = getattr(error, "code", type_), getattr(error, "param", None)
                return cls(status, type_, code, str(error), param, _headers(error))
        return cls(500, "server_error", "internal_error", UNEXPECTED, None, ())

    def openai(self) -> bytes:
        """The body in OpenAI's shape."""
        return orjson.dumps(
            {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}
        )

    def problem(self) -> bytes:
        """The body as an RFC 9457 problem (``application/problem+json``)."""
        problem = {
            "type": "about:blank",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.message,
            "code": self.code,
        }
        if self.param is not None:
            problem["param"] = self.param
        return orjson.dumps(problem)


def _headers(error: Exception) -> tuple[tuple[bytes, bytes], ...]:
    conversation_id = getattr(error, "conversation_id", None)
    known = () if conversation_id is None else ((b"x-send2llm-conversation-id", str(conversation_id).encode()),)
    return known + _advice(error)


def _advice(error: Exception) -> tuple[tuple[bytes, bytes], ...]:
    """What the caller may do about it, for programs."""
    match error:
        case Unauthorized():
            return ((b"www-authenticate", b"Bearer"),)
        case QuotaExhausted():
            return ((b"x-should-retry", b"false"),)  # OpenAI's SDKs heed it; no money comes from trying again
        case ProviderError(retry_after=float() | int() as seconds):
            return ((b"retry-after", b"%d" % max(1, round(seconds + 0.5))),)
        case CompletionInProgress() | StoreUnavailable():
            return ((b"retry-after", b"1"),)
    return ()
