"""The answer to a message of the own API, as server-sent events.

``delta`` holds a piece of the answer, ``done`` the whole with what it cost, ``error`` an RFC 9457 problem.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any

import orjson
import structlog
from fastapi import Response

from send2llm.application.answer_stream import AnswerStream
from send2llm.application.context import Context
from send2llm.application.open_call import Reply
from send2llm.application.patience import Caller, CallerLeft
from send2llm.application.send_command import SendMessage
from send2llm.application.send_message import MessageSender
from send2llm.domain.completion import Delta
from send2llm.domain.errors import Send2LLMError
from send2llm.interfaces.http import views
from send2llm.interfaces.http.asgi import EVENT_STREAM, NO_BUFFERING, Receive, Scope, Send, Watch, send_pieces
from send2llm.interfaces.http.errors import ErrorView
from send2llm.interfaces.http.reply_headers import reply_headers, stream_headers

logger = structlog.get_logger(__name__)


class MessageStream(Response):
    """Makes the call when it is sent, so that errors before the first piece still have a status of their own."""

    def __init__(
        self,
        sender: MessageSender,
        command: SendMessage,
        context: Context,
        in_flight: Callable[[], AbstractContextManager[object]],
    ) -> None:
        """``in_flight`` counts a call for as long as its context is open."""
        super().__init__()
        self._in_flight = in_flight
        self._sender = sender
        self._command = command
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        began = time.perf_counter()
        caller = Caller()
        async with Watch(receive, caller):
            with self._in_flight():
                await self._answer(send, caller, began)

    async def _answer(self, send: Send, caller: Caller, began: float) -> None:
        answer = await self._sender.stream(self._command, caller, self._context)
        elapsed = time.perf_counter() - began
        if isinstance(answer, Reply):
            headers, pieces = reply_headers(answer, elapsed), _replayed(answer)
        else:
            headers = stream_headers(answer.call, elapsed - answer.call.upstream)
            pieces = _events(answer)
        await send_pieces(send, [EVENT_STREAM, *NO_BUFFERING, *headers], pieces)


async def _replayed(reply: Reply) -> AsyncGenerator[bytes]:
    yield _event("delta", {"text": reply.completion.answers[0].message.text})
    yield _event("done", views.answer(reply))


async def _events(answer: AnswerStream) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(answer.batches()) as batches:
            async for batch in batches:
                data = _deltas(batch)
                if data:
                    yield data
        if answer.reply is not None:
            yield _event("done", views.answer(answer.reply))
    except CallerLeft:
        raise
    except Exception as error:  # the status is out: whatever it was must be said in the stream
        if not isinstance(error, Send2LLMError):
            logger.exception("stream_failed")
        yield b"event: error\ndata: " + ErrorView.of(error).problem() + b"\n\n"


def _deltas(batch: Sequence[Delta]) -> bytes:
    """One event for all the text that came together, and one for each piece of a tool call."""
    events = []
    text = "".join([delta.text for delta in batch])
    if text:
        events.append(_event("delta", {"text": text}))
    for delta in batch:
        for piece in delta.tool_calls:
            call = {"index": piece.index, "id": piece.id, "name": piece.name, "arguments": piece.arguments}
            events.append(_event("delta", {"tool_calls": [call]}))
    return b"".join(events)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
