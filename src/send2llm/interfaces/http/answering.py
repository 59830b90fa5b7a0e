"""The endpoints that answer: one for each format that callers speak, all through the one ``SendMessage``."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from uuid import UUID

import structlog

from send2llm.application.answer_stream import AnswerStream
from send2llm.application.context import Context
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.patience import Caller, CallerLeft
from send2llm.application.send_command import SendMessage
from send2llm.application.send_message import MessageSender
from send2llm.domain.completion import deltas_of
from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.errors import InvalidRequest, Send2LLMError
from send2llm.domain.message import NO_EXTRAS
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerFormat, CallerRequest, StreamWriter
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
from send2llm.interfaces.http.labels import LABELS_HEADER, read_labels
from send2llm.interfaces.http.reply_headers import reply_headers, stream_headers

logger = structlog.get_logger(__name__)

CONVERSATION_HEADER = b"x-send2llm-conversation-id"
IDEMPOTENCY_HEADER = b"idempotency-key"
LONGEST_KEY = 255


class AnswerEndpoint:
    """An endpoint in one format, as an ASGI application of its own."""

    def __init__(
        self,
        format_: CallerFormat,
        sender: MessageSender,
        max_body_bytes: int,
        in_flight: Callable[[], AbstractContextManager[object]],
    ) -> None:
        """``in_flight`` counts a call for as long as its context is open."""
        self.format = format_
        self._sender = sender
        self._in_flight = in_flight
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        body = await read_body(receive, self._max_body_bytes)
        headers = dict(scope["headers"])
        request = self.format.read(parse_json_object(body), headers)
        command = _command(request, headers)
        caller = Caller()
        context: Context = scope[CONTEXT]
        async with Watch(receive, caller):
            with self._in_flight():
                if request.stream:
                    answer = await self._sender.stream(command, caller, context)
                    await self._send_stream(send, request, answer, began)
                    return
                reply = await self._sender.complete(command, caller, context)
            overhead = time.perf_counter() - began - reply.upstream
            written = self.format.write(reply.completion, _facts(reply), request)
            await send_answer(send, 200, [JSON, *reply_headers(reply, overhead)], written)

    async def _send_stream(
        self, send: Send, request: CallerRequest, answer: AnswerStream | Reply, began: float
    ) -> None:
        elapsed = time.perf_counter() - began
        if isinstance(answer, Reply):
            headers = reply_headers(answer, elapsed)
            pieces = _whole(answer, self.format.writer(_facts(answer), request))
        else:
            call = answer.call
            headers = stream_headers(call, elapsed - call.upstream)
            pieces = _events(answer, self.format.writer(_facts(call), request), call.context.correlation_id)
        await send_pieces(send, [EVENT_STREAM, *NO_BUFFERING, *headers], pieces)


def _command(request: CallerRequest, headers: Mapping[bytes, bytes]) -> SendMessage:
    key, labels = headers.get(IDEMPOTENCY_HEADER), headers.get(LABELS_HEADER)
    return SendMessage(
        model=request.model,
        messages=request.messages,
        parameters=request.parameters,
        conversation_id=_conversation_id(headers.get(CONVERSATION_HEADER), request.after),
        streaming=request.stream,
        idempotency_key=None if key is None else read_idempotency_key(key),
        labels=NO_EXTRAS if labels is None else read_labels(labels),
        after=request.after,
        path_of=request.path_of,
    )


def _conversation_id(value: bytes | None, after: EarlierAnswer | None) -> UUID | None:
    """The conversation that the header names; beside an earlier answer it can say nothing more, only the contrary."""
    if value is None:
        return None
    try:
        named = UUID(value.decode("ascii"))
    except ValueError:
        raise InvalidRequest("x-send2llm-conversation-id is not a UUID.") from None
    if after is None:
        return named
    if named != after.conversation_id:
        raise InvalidRequest(
            "previous_response_id is an answer of another conversation than x-send2llm-conversation-id names; send one "
            "of the two.",
            param="previous_response_id",
        )
    return None


def read_idempotency_key(value: bytes) -> str:
    """The key of an ``Idempotency-Key`` header."""
    if not 0 < len(value) <= LONGEST_KEY:
        raise InvalidRequest(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.")
    return value.decode("latin-1")


def _facts(answer: Reply | OpenCall) -> AnswerFacts:
    provider, model = (
        (answer.provider, answer.model)
        if isinstance(answer, Reply)
        else (answer.candidate.provider, answer.candidate.model)
    )
    return AnswerFacts(answer.conversation_id, answer.completion_id, provider, model, int(time.time()))


async def _whole(reply: Reply, writer: StreamWriter) -> AsyncGenerator[bytes]:
    yield writer.begin() + writer.write(deltas_of(reply.completion)) + writer.end()


async def _events(answer: AnswerStream, writer: StreamWriter, request_id: UUID) -> AsyncGenerator[bytes]:
    """The stream as the client gets it; an error in the middle becomes the format's error event, and no end."""
    try:
        beginning = writer.begin()
        if beginning:
            yield beginning
        async with aclosing(answer.batches()) as batches:
            async for batch in batches:
                data = writer.write(batch)
                if data:
                    yield data
        yield writer.end()
    except CallerLeft:
        raise
    except Exception as error:  # the status is out: whatever it was must be said in the stream
        if not isinstance(error, Send2LLMError):
            logger.exception("stream_failed")
        yield writer.error(ErrorView.of(error).shown(request_id))
