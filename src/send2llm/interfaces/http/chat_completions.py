"""``POST /v1/chat/completions``: OpenAI's chat completions, streaming and not.

https://platform.openai.com/docs/api-reference/chat/create
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractContextManager, aclosing
from uuid import UUID

import orjson
import structlog

from send2llm.application.answer_stream import AnswerStream
from send2llm.application.context import Context
from send2llm.application.intents import SendMessage
from send2llm.application.open_call import Reply
from send2llm.application.patience import Caller, CallerLeft
from send2llm.application.send_message import MessageSender
from send2llm.domain.completion import Delta, deltas_of
from send2llm.domain.errors import InvalidRequest, Send2LLMError
from send2llm.infrastructure.formats import openai_chat
from send2llm.interfaces.http.asgi import (
    EVENT_STREAM,
    JSON,
    NO_BUFFERING,
    Receive,
    Scope,
    Send,
    Watch,
    parse_json_object,
    read_body,
    send_answer,
    send_pieces,
)
from send2llm.interfaces.http.errors import ErrorView
from send2llm.interfaces.http.front import CONTEXT
from send2llm.interfaces.http.reply_headers import reply_headers, stream_headers

logger = structlog.get_logger(__name__)

CONVERSATION_HEADER = b"x-send2llm-conversation-id"
IDEMPOTENCY_HEADER = b"idempotency-key"
LONGEST_KEY = 255


class ChatCompletions:
    """The endpoint, as an ASGI application of its own."""

    def __init__(
        self, sender: MessageSender, max_body_bytes: int, in_flight: Callable[[], AbstractContextManager[object]]
    ) -> None:
        """``in_flight`` counts a call for as long as its context is open."""
        self._sender = sender
        self._in_flight = in_flight
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        body = await read_body(receive, self._max_body_bytes)
        request = openai_chat.read_request(parse_json_object(body))
        conversation_id, idempotency_key = _call_headers(scope)
        command = SendMessage(
            model=request.model,
            messages=request.messages,
            parameters=request.parameters,
            conversation_id=conversation_id,
            streaming=request.stream,
            idempotency_key=idempotency_key,
        )
        caller = Caller()
        context: Context = scope[CONTEXT]
        async with Watch(receive, caller):
            with self._in_flight():
                if request.stream:
                    answer = await self._sender.stream(command, caller, context)
                    await _send_stream(send, answer, began, include_usage=request.include_usage)
                    return
                reply = await self._sender.complete(command, caller, context)
            overhead = time.perf_counter() - began - reply.upstream
            await send_answer(send, 200, [JSON, *reply_headers(reply, overhead)], _body(reply))


def _call_headers(scope: Scope) -> tuple[UUID | None, str | None]:
    conversation_id = idempotency_key = None
    for name, value in scope["headers"]:
        if name == CONVERSATION_HEADER:
            try:
                conversation_id = UUID(value.decode("ascii"))
            except ValueError:
                raise InvalidRequest("x-send2llm-conversation-id is not a UUID.") from None
        elif name == IDEMPOTENCY_HEADER:
            idempotency_key = read_idempotency_key(value)
    return conversation_id, idempotency_key


def read_idempotency_key(value: bytes) -> str:
    """The key of an ``Idempotency-Key`` header."""
    if not 0 < len(value) <= LONGEST_KEY:
        raise InvalidRequest(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.")
    return value.decode("latin-1")


def _body(reply: Reply) -> bytes:
    """The provider's own bytes where it speaks this format, else the same said in it."""
    completion = reply.completion
    if completion.format == openai_chat.FORMAT and completion.body:
        return completion.body
    written = openai_chat.write_reply(completion, model=reply.model, created=int(time.time()))
    return orjson.dumps(written, default=dict)


async def _send_stream(send: Send, answer: AnswerStream | Reply, began: float, *, include_usage: bool) -> None:
    elapsed = time.perf_counter() - began
    if isinstance(answer, Reply):
        headers = reply_headers(answer, elapsed)
        encoder = _Encoder(str(answer.completion_id), answer.model, include_usage=include_usage)
        pieces = _whole(answer, encoder)
    else:
        call = answer.call
        headers = stream_headers(call, elapsed - call.upstream)
        encoder = _Encoder(str(call.completion_id), call.candidate.model, include_usage=include_usage)
        pieces = _events(answer, encoder)
    await send_pieces(send, [EVENT_STREAM, *NO_BUFFERING, *headers], pieces)


class _Encoder:
    """Writes pieces of an answer as events: the provider's own bytes where there are any.

    The usage that Send2LLM asks providers for on its own account goes only to callers who asked for it too.
    """

    def __init__(self, completion_id: str, model: str, *, include_usage: bool) -> None:
        self._id = f"chatcmpl-{completion_id}"
        self._model = model
        self._created = int(time.time())
        self._include_usage = include_usage

    def __call__(self, batch: Iterable[Delta]) -> bytes:
        return b"".join(
            [
                self._write(delta) if delta.raw is None else delta.raw
                for delta in batch
                if self._include_usage or not openai_chat.is_only_usage(delta)
            ]
        )

    def _write(self, delta: Delta) -> bytes:
        return openai_chat.write_chunk(delta, response_id=self._id, model=self._model, created=self._created)


async def _whole(reply: Reply, encode: _Encoder) -> AsyncGenerator[bytes]:
    yield encode(deltas_of(reply.completion)) + openai_chat.DONE


async def _events(answer: AnswerStream, encode: _Encoder) -> AsyncGenerator[bytes]:
    """The stream as the client gets it; an error in the middle becomes OpenAI's error event, and no end."""
    try:
        async with aclosing(answer.batches()) as batches:
            async for batch in batches:
                data = encode(batch)
                if data:
                    yield data
        yield openai_chat.DONE
    except CallerLeft:
        raise
    except Exception as error:  # the status is out: whatever it was must be said in the stream
        if not isinstance(error, Send2LLMError):
            logger.exception("stream_failed")
        yield b"data: " + ErrorView.of(error).openai() + b"\n\n"
