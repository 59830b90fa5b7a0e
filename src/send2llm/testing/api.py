"""A service to test clients of the own API with: the same protocol, in memory, with failures on demand.

It behaves as the real one does where clients can tell: conversations remember, idempotency keys answer once, a
conversation awaits one answer at a time, a caller that leaves gets no answer recorded. The "model" repeats what the
user said.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]

MODEL = "echo/parrot"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class FakeConversation:
    """What the service knows of one conversation."""

    id: str
    labels: dict[str, str]
    messages: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    awaited: bool = False
    closed: bool = False
    erased: bool = False

    @property
    def answers(self) -> list[str]:
        """What the model said."""
        return [message["content"] for message in self.messages if message["role"] == "assistant"]


@dataclass(frozen=True)
class Failure:
    """An answer that is none: ``status`` and ``code``; inside the stream, after its first piece, when ``late``."""

    status: int = 503
    code: str = "store_unavailable"
    detail: str = "The event store cannot be reached."
    retry_after: str | None = None
    late: bool = False


CUT = Failure(status=0, late=True)
"""The connection breaks in the middle of the stream."""


class FakeApi:
    """The state of the service; it outlives restarts of ``FakeApiServer``, as a database does."""

    def __init__(self, *, api_key: str | None = None, models: tuple[str, ...] = (MODEL,)) -> None:
        self.api_key = api_key
        self.models = models
        self.providers: list[Json] = [{"name": "echo", "models": [{"name": "parrot", "price": None}]}]
        """What ``/api/providers`` shows, as far as clients need it."""
        self.conversations: dict[str, FakeConversation] = {}
        self.events: list[Json] = []
        self.requests: list[tuple[str, str, Json]] = []
        """Method, path with query, and body of every request."""
        self.failures: deque[Failure] = deque()
        """What the next messages meet, first come, first served."""
        self.answer: Callable[[str], str] = lambda said: f"You said: {said}"
        self.unready: dict[str, str] = {}
        """What ``/readyz`` complains about."""
        self.projection: Json = {
            "name": "history",
            "version": 1,
            "build": 1,
            "role": "live",
            "remaining_seconds": None,
            "state": "running",
            "lag_events": 0,
            "lag_seconds": 0.0,
            "error": None,
        }
        self.answered = 0
        """Answers that were made, not those that were repeated for their key."""
        self._claims: dict[str, tuple[str, Json | None]] = {}
        self._stall_after: int | None = None
        self._changed = threading.Condition()
        self.application = Starlette(routes=self._routes())

    # What tests do

    def stall_after(self, answers: int | None) -> None:
        """Leave calls without an answer once there are so many; ``None`` lets them go on."""
        self._stall_after = answers

    def wait_until(self, reached: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait in another thread until the state is as wanted; it is looked at after each request and answer."""
        with self._changed:
            if not self._changed.wait_for(reached, seconds):
                raise TimeoutError("the fake service never got there")

    def record(self, conversation: FakeConversation | None, topic: str, data: Json) -> None:
        """Store an event."""
        stream = conversation.id if conversation else "other"
        version = len(conversation.events) + 1 if conversation else 1
        event = {
            "position": len(self.events) + 1,
            "stream": stream,
            "version": version,
            "topic": topic,
            "event_id": str(uuid4()),
            "occurred_at": NOW.isoformat(),
            "correlation_id": str(uuid4()),
            "causation_id": None,
            "actor": "tester",
            "tenant": "default",
            "data": data,
        }
        self.events.append(event)
        if conversation:
            conversation.events.append(event)
        self.notify()

    def notify(self) -> None:
        """Something changed."""
        with self._changed:
            self._changed.notify_all()

    # The endpoints

    def _routes(self) -> list[Route]:
        conversation = "/api/conversations/{id}"
        return [
            Route("/v1/models", self._checked(self._models)),
            Route("/readyz", self._checked(self._readyz)),
            Route("/api/projections", self._checked(self._projections)),
            Route("/api/providers", self._checked(self._providers)),
            Route("/api/events", self._checked(self._events)),
            Route("/api/conversations", self._checked(self._start), methods=["POST"]),
            Route("/api/conversations", self._checked(self._list)),
            Route(conversation, self._checked(self._show)),
            Route(f"{conversation}/messages", self._checked(self._send), methods=["POST"]),
            Route(f"{conversation}/events", self._checked(self._conversation_events)),
            Route(f"{conversation}/feedback", self._checked(self._feedback), methods=["POST"]),
            Route(f"{conversation}/close", self._checked(self._close), methods=["POST"]),
            Route(f"{conversation}/erase", self._checked(self._erase), methods=["POST"]),
        ]

    def _checked(self, endpoint: Endpoint) -> Endpoint:
        async def checked(request: Request) -> Response:
            text = await request.body()
            body = json.loads(text) if text else {}
            query = f"?{request.url.query}" if request.url.query else ""
            self.requests.append((request.method, request.url.path + query, body))
            self.notify()
            if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
                return _problem(401, "invalid_api_key", "This key is not accepted.")
            try:
                return await endpoint(request)
            except _NoSuchConversation as error:
                return _problem(404, "conversation_not_found", f"There is no conversation {error}.")

        return checked

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model, "object": "model"} for model in self.models]})

    async def _readyz(self, _: Request) -> Response:
        checks = {"event_store": "ok", **self.unready}
        return JSONResponse(
            {"status": "not ready" if self.unready else "ok", "checks": checks}, 503 if self.unready else 200
        )

    async def _projections(self, _: Request) -> Response:
        return JSONResponse({"data": [{**self.projection, "position": len(self.events), "head": len(self.events)}]})

    async def _providers(self, _: Request) -> Response:
        return JSONResponse({"data": self.providers})

    async def _events(self, request: Request) -> Response:
        query = request.query_params
        after = int(request.headers.get("last-event-id", query.get("after", 0)))
        topics, stream = query.getlist("topic"), query.get("stream", "").removeprefix("conversation-")

        def found() -> list[Json]:
            return [
                one
                for one in self.events
                if one["position"] > after
                and (not topics or one["topic"] in topics)
                and stream in ("", one["stream"])
                and query.get("tenant") in (None, one["tenant"])
            ]

        if "text/event-stream" not in request.headers.get("accept", ""):
            page = found()[: int(query.get("limit", 1000))]
            reached = page[-1]["position"] if page else max(after, len(self.events))
            return JSONResponse({"data": page, "reached": reached, "head": len(self.events)})

        async def follow() -> AsyncIterator[str]:
            nonlocal after
            yield ": the feed\n\n"
            while not await request.is_disconnected():
                for one in found():
                    after = one["position"]
                    yield f"id: {after}\n{_server_sent(one['topic'], one)}"
                await asyncio.sleep(0.005)

        return StreamingResponse(follow(), media_type="text/event-stream")

    async def _conversation_events(self, request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        found = [one for one in self._conversation(request).events if one["version"] > after]
        return JSONResponse({"data": found[: int(request.query_params.get("limit", 1000))]})

    async def _start(self, request: Request) -> Response:
        body = await request.json()
        identifier = body.get("id") or str(uuid4())
        if identifier in self.conversations:
            return _problem(409, "conversation_exists", f"The conversation {identifier} exists already.")
        conversation = FakeConversation(identifier, body.get("labels", {}))
        self.conversations[identifier] = conversation
        self.record(conversation, "conversation.started", {"labels": conversation.labels})
        return JSONResponse(_state(conversation), 201)

    async def _list(self, request: Request) -> Response:
        limit, start = int(request.query_params["limit"]), int(request.query_params.get("cursor", 0))
        wanted = dict(pair.split("=", 1) for pair in request.query_params.getlist("label")).items()
        lines = [_line(one) for one in reversed(self.conversations.values()) if wanted <= one.labels.items()]
        more = start + limit < len(lines)
        return JSONResponse({"data": lines[start : start + limit], "next_cursor": str(start + limit) if more else None})

    async def _show(self, request: Request) -> Response:
        conversation = self._conversation(request)
        messages = conversation.messages
        if at := request.query_params.get("at"):
            messages = messages[: int(at) - 1]
        return JSONResponse({**_state(conversation), "awaited": None, "messages": messages})

    async def _feedback(self, request: Request) -> Response:
        self.record(self._conversation(request), "conversation.feedback_given", await request.json())
        return Response(status_code=204)

    async def _close(self, request: Request) -> Response:
        conversation = self._conversation(request)
        conversation.closed = True
        self.record(conversation, "conversation.closed", await request.json())
        return JSONResponse(_state(conversation))

    async def _erase(self, request: Request) -> Response:
        conversation = self._conversation(request)
        if conversation.awaited:
            return _problem(409, "completion_in_progress", "It is waiting for an answer.", retry_after="0")
        if not conversation.erased:
            conversation.erased = True
            conversation.messages.clear()
            self.record(conversation, "conversation.erased", await request.json())
        return JSONResponse(_state(conversation))

    async def _send(self, request: Request) -> Response:
        conversation = self._conversation(request)
        body = await request.json()
        key, digest = request.headers.get("idempotency-key"), json.dumps(body, sort_keys=True)
        if conversation.closed:
            return _problem(409, "conversation_closed", f"The conversation {conversation.id} is closed.")
        if body["model"] not in self.models:
            return _problem(404, "model_not_found", f"There is no model {body['model']!r} here.")
        claimed, recorded = self._claims.get(key or "", (digest, None))
        if claimed != digest:
            return _problem(422, "idempotency_key_reused", "This Idempotency-Key was used for a different request.")
        if recorded is not None:
            return self._reply(body, {**recorded, "replayed": True})
        if conversation.awaited:
            return _problem(409, "completion_in_progress", "It is waiting for an answer.", retry_after="0")
        failure = self.failures.popleft() if self.failures else None
        if failure and not failure.late:
            return _problem(failure.status, failure.code, failure.detail, retry_after=failure.retry_after)
        return await self._ask(request, conversation, body, failure)

    async def _ask(
        self, request: Request, conversation: FakeConversation, body: Json, failure: Failure | None
    ) -> Response:
        """Store the intent, make the answer, store that."""
        new = body.get("messages") or [{"role": "user", "content": body["content"]}]
        if conversation.messages[-len(new) :] != new:
            conversation.messages += new
        key = request.headers.get("idempotency-key")
        if key:
            self._claims[key] = (json.dumps(body, sort_keys=True), None)
        conversation.awaited = True
        try:
            while self._stall_after is not None and self.answered >= self._stall_after:
                if await request.is_disconnected():
                    return Response()
                await asyncio.sleep(0.005)
        finally:
            conversation.awaited = False
        text = self.answer(str(new[-1]["content"]))
        if failure:
            return self._reply(body, {"message": {"content": text}}, failure)
        return self._reply(body, self._received(conversation, key, body, text))

    def _received(self, conversation: FakeConversation, key: str | None, body: Json, text: str) -> Json:
        message = {"role": "assistant", "content": text}
        conversation.messages.append(message)
        answer = {
            "conversation_id": conversation.id,
            "completion_id": str(uuid4()),
            "message": message,
            "finish_reason": "stop",
            "usage": {"input_tokens": 5, "output_tokens": len(text.split())},
            "cost_usd": "0.000012",
            "provider": "echo",
            "model": body["model"],
            "attempts": 1,
            "replayed": False,
        }
        if key:
            self._claims[key] = (json.dumps(body, sort_keys=True), answer)
        self.answered += 1
        self.record(conversation, "conversation.completion_received", {"model": body["model"]})
        return answer

    def _reply(self, body: Json, answer: Json, failure: Failure | None = None) -> Response:
        if body.get("stream"):
            return StreamingResponse(_stream(answer, failure), media_type="text/event-stream")
        return JSONResponse(answer)

    def _conversation(self, request: Request) -> FakeConversation:
        identifier = request.path_params["id"]
        if identifier not in self.conversations:
            raise _NoSuchConversation(identifier)
        return self.conversations[identifier]


class _NoSuchConversation(Exception):
    """No conversation has that id."""


async def _stream(answer: Json, failure: Failure | None) -> AsyncIterator[str]:
    """The answer in two pieces, and its end; or what happens instead of the end."""
    text = answer["message"]["content"]
    middle = len(text) // 2
    yield _server_sent("delta", {"text": text[:middle]})
    if failure is CUT:
        raise ConnectionAbortedError("as the test wished")
    if failure:
        yield _server_sent("error", {"status": failure.status, "code": failure.code, "detail": failure.detail})
        return
    yield _server_sent("delta", {"text": text[middle:]})
    yield _server_sent("done", answer)


def _server_sent(event: str, data: Json) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def _problem(status: int, code: str, detail: str, *, retry_after: str | None = None) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def _state(conversation: FakeConversation) -> Json:
    return {
        "id": conversation.id,
        "state": "erased" if conversation.erased else "closed" if conversation.closed else "open",
        "version": len(conversation.events),
        "labels": conversation.labels,
    }


def _line(conversation: FakeConversation) -> Json:
    said = [message["content"] for message in conversation.messages if message["role"] == "user"]
    return {
        **_state(conversation),
        "title": said[0] if said else "",
        "message_count": len(conversation.messages),
        "cost_usd": "0.000012",
        "input_tokens": 5,
        "output_tokens": 1234,
        "provider": "echo",
        "model": MODEL,
        "started_at": NOW.isoformat(),
        "updated_at": NOW.isoformat(),
    }
