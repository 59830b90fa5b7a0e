"""The little that the hot routes need of ASGI: read a body, send an answer, notice a caller that leaves.

FastAPI's request and response objects cost more than all that Send2LLM does with a message, so the hot routes speak
ASGI themselves.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from send2llm.application.patience import Caller, CallerLeft
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.formats.depth import DEEPEST, is_too_deep
from send2llm.interfaces.http.errors import BodyTooLarge

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
NO_BUFFERING = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class ClientDisconnected(Exception):
    """The caller left before its request was whole."""


def refuse_large_body(scope: Scope, limit: int) -> None:
    """Raise ``BodyTooLarge`` for a body that says itself that it is longer than ``limit`` bytes."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body; raises ``BodyTooLarge`` as soon as it is known to be longer than ``limit`` bytes."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    pieces = [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            raise _too_large(limit)
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return b"".join(pieces)


async def with_whole_body(receive: Receive, limit: int) -> Receive:
    """Read the whole body, as ``read_body`` does, and give a ``receive`` that tells it again."""
    unread = [{"type": "http.request", "body": await read_body(receive, limit), "more_body": False}]

    async def receive_again() -> MutableMapping[str, Any]:
        return unread.pop() if unread else await receive()

    return receive_again


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than the {limit} bytes that are taken here (SEND2LLM_MAX_BODY_BYTES).")


def parse_json(body: bytes) -> Any:
    """The value that the body is, if it is JSON that can be written again too; raises ``orjson.JSONDecodeError``."""
    value = orjson.loads(body)
    if is_too_deep(body, value):
        raise orjson.JSONDecodeError(f"nested more than {DEEPEST} levels deep", "", 0)
    return value


def parse_json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that the body is; raises ``InvalidRequest``."""
    try:
        value = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return value


async def send_answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_pieces(send: Send, headers: Headers, pieces: AsyncGenerator[bytes]) -> None:
    """Send an answer (200) as it comes. ``pieces`` reports errors in its own format: the status is out by then."""
    async with aclosing(pieces):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of long ``work``, which is cancelled when the caller closes its connection: raises ``CallerLeft``."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(has_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerLeft
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def has_left(receive: Receive) -> None:
    """Wait until the caller has closed its connection; its request was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Watch:
    """While it is open, a caller that closes its connection makes ``caller`` leave."""

    def __init__(self, receive: Receive, caller: Caller) -> None:
        self._receive = receive
        self._caller = caller

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        # The task keeps its error, that its frames, and these this object: without the way back nothing of a call
        # has to wait for the garbage collector.
        del self._task

    async def _look(self) -> None:
        await has_left(self._receive)
        self._caller.leave()
