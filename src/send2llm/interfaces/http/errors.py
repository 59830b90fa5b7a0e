"""What an error looks like to a caller: in OpenAI's shape under ``/v1``, as an RFC 9457 problem under ``/api``."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil
from uuid import UUID

import orjson
import structlog

from send2llm.application.patience import CallerLeft
from send2llm.domain.errors import (
    AuthenticationFailed,
    BudgetExceeded,
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
    UnreadableEvent,
    VerificationInProgress,
)
from send2llm.domain.shortfall import Shortfall
from send2llm.infrastructure.formats.anthropic.errors import write_error as write_anthropic_error
from send2llm.infrastructure.formats.caller_format import ShownError
from send2llm.infrastructure.formats.openai_errors import write_error

logger = structlog.get_logger(__name__)

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
    (UnreadableEvent, 500, "server_error"),
    (BudgetExceeded, 429, "insufficient_quota"),
    (CallerLeft, CLIENT_CLOSED_REQUEST, "client_closed_request"),
)

NO_RETRY = (b"x-should-retry", b"false")
"""OpenAI's SDKs heed it; no money comes from trying again."""

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
    budget: dict[str, object] | None = None
    """The numbers of a budget that had not enough left."""
    position: int | None = None
    """Of an event that cannot be read, so that who follows the log can step over it."""

    @classmethod
    def of(cls, error: Exception) -> "ErrorView":
        """How ``error`` is shown; what is not one of ours shows nothing of its inside."""
        for kind, status, type_ in _STATUSES:
            if isinstance(error, kind):
                code, param = getattr(error, "code", type_), getattr(error, "param", None)
                return cls(status, type_, code, str(error), param, _headers(error), _budget(error), _position(error))
        return cls(500, "server_error", "internal_error", UNEXPECTED, None, ())

    def shown(self, request_id: UUID | None = None) -> ShownError:
        """The same for a format to write."""
        details = {} if self.budget is None else {"budget": self.budget}
        named = None if request_id is None else str(request_id)
        return ShownError(self.status, self.type, self.code, self.message, self.param, details, named)

    def openai(self) -> bytes:
        """The body in OpenAI's shape."""
        return write_error(self.shown())

    def anthropic(self, request_id: UUID) -> bytes:
        """The body in Anthropic's shape."""
        return write_anthropic_error(self.shown(request_id))

    def problem(self) -> bytes:
        """The body as an RFC 9457 problem (``application/problem+json``)."""
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.message,
            "code": self.code,
        }
        if self.param is not None:
            problem["param"] = self.param
        if self.budget is not None:
            problem["budget"] = self.budget
        if self.position is not None:
            problem["position"] = self.position
        return orjson.dumps(problem)


def log_unreadable(error: Exception) -> None:
    """Tell the operator of a stored event that stands in a caller's way."""
    if isinstance(error, UnreadableEvent):
        logger.error("unreadable_event", code=error.code, position=error.position, reason=str(error))


def _position(error: Exception) -> int | None:
    return error.position if isinstance(error, UnreadableEvent) else None


def _headers(error: Exception) -> tuple[tuple[bytes, bytes], ...]:
    conversation_id = getattr(error, "conversation_id", None)
    known = () if conversation_id is None else ((b"x-send2llm-conversation-id", str(conversation_id).encode()),)
    return known + _advice(error)


def _advice(error: Exception) -> tuple[tuple[bytes, bytes], ...]:
    """What the caller may do about it, for programs."""
    match error:
        case Unauthorized():
            return ((b"www-authenticate", b"Bearer"),)
        case BudgetExceeded(shortfall=shortfall):
            return (*_until(shortfall.period_end), NO_RETRY)
        case QuotaExhausted():
            return (NO_RETRY,)
        case ProviderError(retry_after=float() | int() as seconds):
            return ((b"retry-after", b"%d" % max(1, round(seconds + 0.5))),)
        case CompletionInProgress() | StoreUnavailable():
            return ((b"retry-after", b"1"),)
        case VerificationInProgress():
            return ((b"retry-after", b"10"),)
    return ()


def _until(end: datetime | None) -> tuple[tuple[bytes, bytes], ...]:
    """When a period ends, for those that wait; a budget without periods never has more."""
    if end is None:
        return ()
    return ((b"retry-after", b"%d" % max(1, ceil((end - datetime.now(UTC)).total_seconds()))),)


def _budget(error: Exception) -> dict[str, object] | None:
    """The numbers of a refusal as JSON holds them: money as text, so that nobody's parser rounds it."""
    shortfall: Shortfall | None = getattr(error, "shortfall", None)
    if shortfall is None:
        return None
    values = {field.name: getattr(shortfall, field.name) for field in fields(shortfall)}
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in values.items()}
