"""The outermost ASGI application: what every request passes.

It names the request, checks the caller's key, sends the hot routes straight to their endpoints and everything else
to FastAPI, and turns errors that reach it into answers in the caller's format.
"""

import secrets
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol
from uuid import UUID

import structlog

from send2llm.application.context import Context
from send2llm.application.patience import CallerLeft
from send2llm.application.ports import Identifiers
from send2llm.domain.errors import Send2LLMError
from send2llm.infrastructure.formats.caller_format import CallerFormat
from send2llm.interfaces.http.asgi import (
    JSON,
    PROBLEM,
    ClientDisconnected,
    Headers,
    Receive,
    Scope,
    Send,
    refuse_large_body,
    send_answer,
    with_whole_body,
)
from send2llm.interfaces.http.errors import ErrorView, Unauthorized, log_unreadable

logger = structlog.get_logger(__name__)

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
OPENAI_PATHS = ("/v1", "/models", "/responses")
"""The beginnings of paths whose errors are in OpenAI's shape."""

CONTEXT = "send2llm.context"
"""Where a request's ``Context`` is found in its ASGI scope."""

App = Callable[[Scope, Receive, Send], Any]


class Endpoint(Protocol):
    """An endpoint that answers in a format of its own, also when something goes wrong."""

    format: CallerFormat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the request."""
        ...


class RequestObserver(Protocol):
    """Whoever counts requests: ``route`` is the template, not the path, so that its values are few."""

    def request_ended(self, method: str, route: str | None, status: int) -> None:
        """A request was answered; ``route`` is ``None`` when it matched none."""
        ...


class Front:
    """See the module. ``hot`` maps paths to endpoints that take POST only."""

    def __init__(
        self,
        app: App,
        hot: Mapping[str, Endpoint],
        *,
        api_key: str | None,
        max_body_bytes: int,
        identifiers: Identifiers,
        observer: RequestObserver,
    ) -> None:
        self._app = app
        self._hot = hot
        self._api_key = api_key.encode() if api_key else None
        self._max_body_bytes = max_body_bytes
        self._identifiers = identifiers
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        headers = dict(scope["headers"])
        context = self._context(headers)
        scope[CONTEXT] = context
        structlog.contextvars.bind_contextvars(correlation_id=str(context.correlation_id))
        answer = _Answer(send, context.correlation_id)
        try:
            if self._api_key is not None and path not in OPEN_PATHS:
                self._authenticate(headers)
            refuse_large_body(scope, self._max_body_bytes)
            endpoint = self._hot.get(path) if scope["method"] == "POST" else None
            if endpoint is None:
                # The hot routes keep the limit by themselves; FastAPI reads what comes.
                receive = await with_whole_body(receive, self._max_body_bytes)
            await (endpoint or self._app)(scope, receive, answer)
        except (CallerLeft, ClientDisconnected):
            answer.status = answer.status or 499
        except Exception as error:  # noqa: BLE001 - the last place where anything can still be answered
            await self._answer_error(error, scope, answer)
        finally:
            route = path if path in self._hot else getattr(scope.get("route"), "path", None)
            self._observer.request_ended(scope["method"], route, answer.status)
            structlog.contextvars.unbind_contextvars("correlation_id")

    async def _answer_error(self, error: Exception, scope: Scope, answer: "_Answer") -> None:
        path: str = scope["path"]
        if not isinstance(error, Send2LLMError):
            logger.error("request_failed", path=path, exc_info=error)
        log_unreadable(error)
        if answer.complete:
            return  # FastAPI has answered it already
        if answer.status:
            raise error  # the status is out: breaking the connection is all that can be said
        view = ErrorView.of(error)
        if view.status == 401:
            logger.warning("unauthorized", path=path)
        endpoint = self._hot.get(path)
        request_id = scope[CONTEXT].correlation_id
        if endpoint is not None:
            body = endpoint.format.error(view.shown(request_id))
        elif path.startswith(OPENAI_PATHS):
            body = view.anthropic(request_id) if speaks_anthropic(scope) else view.openai()
        else:
            await send_answer(answer, view.status, [PROBLEM, *view.headers], view.problem())
            return
        await send_answer(answer, view.status, [JSON, *view.headers], body)

    def _context(self, headers: Mapping[bytes, bytes]) -> Context:
        return Context(
            correlation_id=self._identifiers.new(),
            actor="anonymous" if self._api_key is None else "api_key",
            trace_id=_trace_id(headers.get(b"traceparent")),
        )

    def _authenticate(self, headers: Mapping[bytes, bytes]) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        shown = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        if not shown:
            raise Unauthorized("A key is needed: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        if not secrets.compare_digest(shown, self._api_key or b""):
            raise Unauthorized("The key is not the one that this service was started with (SEND2LLM_API_KEY).")


def speaks_anthropic(scope: Scope) -> bool:
    """Whether a request to a path that several formats share comes from one of Anthropic's clients."""
    return any(name == b"anthropic-version" for name, _ in scope["headers"])


class _Answer:
    """The server's ``send``, which remembers the status and names the request in every answer."""

    def __init__(self, send: Send, correlation_id: UUID) -> None:
        self._send = send
        name = str(correlation_id).encode()
        # The last two are what OpenAI's and Anthropic's SDKs show.
        self._names: Headers = [
            (b"x-send2llm-request-id", name),
            (b"x-request-id", name),
            (b"request-id", name),
        ]
        self.status = 0
        self.complete = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._names]
        elif not message.get("more_body"):
            self.complete = True
        await self._send(message)


def _trace_id(traceparent: bytes | None) -> str | None:
    """The trace of a W3C ``traceparent`` header (``version-trace-parent-flags``), if it is one."""
    if traceparent is None:
        return None
    parts = traceparent.split(b"-")
    if len(parts) < 4 or len(parts[1]) != 32:
        return None
    try:
        return parts[1].decode("ascii") if int(parts[1], 16) else None
    except (ValueError, UnicodeDecodeError):
        return None
