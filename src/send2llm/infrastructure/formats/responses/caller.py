"""OpenAI's responses as callers have them: ``POST /v1/responses``.

https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import orjson

from send2llm.domain.completion import Completion, Delta, Usage
from send2llm.domain.errors import EarlierAnswerNotFound
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_errors import write_error
from send2llm.infrastructure.formats.responses.names import FORMAT
from send2llm.infrastructure.formats.responses.operation import OPERATION
from send2llm.infrastructure.formats.responses.output import Output
from send2llm.infrastructure.formats.responses.paths import path_in
from send2llm.infrastructure.formats.responses.requests import PREVIOUS, read_request
from send2llm.infrastructure.formats.responses.response import ResponseFrame, failure, own, status_of, write_reply


class ResponsesFormat:
    """A ``CallerFormat``.

    Where the provider speaks it too, its own bytes are passed on, but for the objects that hold the response's name:
    the answer must be found again under the name that it has here.
    """

    name = FORMAT
    paths = ("/v1/responses", "/responses")
    operation = OPERATION

    def read(self, body: Body, headers: Mapping[bytes, bytes]) -> CallerRequest:  # noqa: ARG002 - other formats do
        """Read a parsed body."""
        request = read_request(body)
        return CallerRequest(
            request.model,
            request.messages,
            request.parameters,
            request.stream,
            after=request.after,
            path_of=partial(path_in, body),
        )

    def write(self, completion: Completion, facts: AnswerFacts, request: CallerRequest) -> bytes:
        """A whole answer."""
        frame = ResponseFrame(facts, request.messages, request.parameters)
        if completion.format == FORMAT and completion.body:
            return orjson.dumps(own(orjson.loads(completion.body), frame))
        return orjson.dumps(write_reply(completion, frame), default=dict)

    def writer(self, facts: AnswerFacts, request: CallerRequest) -> "EventWriter":
        """For one streamed answer."""
        return EventWriter(ResponseFrame(facts, request.messages, request.parameters))

    def error(self, error: ShownError) -> bytes:
        """The body of an error."""
        if error.code == EarlierAnswerNotFound.code:
            error = replace(error, code="previous_response_not_found", param=PREVIOUS)
        return write_error(error)


class EventWriter:
    """Writes pieces of an answer as events.

    It follows what the provider's own events say, too, so that it can go on by itself at any place.
    """

    def __init__(self, frame: ResponseFrame) -> None:
        self._frame = frame
        self._output = Output(frame.facts.completion_id)
        self._number = 0
        self._begun = self._ended = False
        self._finish_reason = ""
        self._usage: Usage | None = None

    def begin(self) -> bytes:
        """Nothing: whether the provider brings the first event along is not known yet."""
        return b""

    def write(self, batch: Sequence[Delta]) -> bytes:
        """The events of some pieces."""
        return b"".join([self._piece(delta) for delta in batch if delta.index == 0])

    def end(self) -> bytes:
        """The last event, unless the provider's own has been passed on."""
        if self._ended:
            return b""
        status = status_of(self._finish_reason)
        closing = self._events(self._output.close(status=status))
        body = self._frame.body(status, self._output.items, usage=self._usage, finish_reason=self._finish_reason)
        return self._first() + closing + self._events([{"type": f"response.{status}", "response": body}])

    def error(self, error: ShownError) -> bytes:
        """The response has failed, and why: for those who follow events, and for those who look for an error."""
        said = {"code": error.code, "message": error.message}
        failed = self._frame.body(
            "failed", self._output.items, usage=self._usage, error=failure(error.code, error.message, error.status)
        )
        told = {"type": error.type, **said, "param": error.param, **error.details}
        return self._first() + self._events(
            [
                {"type": "response.failed", "response": failed},
                {"type": "error", **said, "param": error.param, "error": told},
            ]
        )

    def _piece(self, delta: Delta) -> bytes:
        events = self._output.add(delta)
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        if delta.usage is not None:
            self._usage = delta.usage
        if delta.format == FORMAT and delta.raw is not None:
            return self._passed(delta, events)
        return self._first() + self._events(events)

    def _passed(self, delta: Delta, events: Sequence[Body]) -> bytes:
        """The provider's own event; only those that hold the response's name are written anew.

        ``events`` are what it would be in our own words.
        """
        raw = delta.raw or b""
        if not raw:
            return b""
        lifecycle = delta.response_id or delta.finish_reason is not None
        first = b"" if lifecycle else self._first()
        self._begun = True
        self._number += 1
        if not lifecycle and (events or delta.says_something):
            return first + raw
        event = orjson.loads(_data(raw))
        if not lifecycle:
            self._output.announce(event)
            return first + raw
        self._ended = delta.finish_reason is not None
        return _framed({**event, "response": own(event["response"], self._frame)})

    def _first(self) -> bytes:
        """The events before all others, unless they are out."""
        if self._begun:
            return b""
        self._begun = True
        body = self._frame.body("in_progress")
        return self._events([{"type": f"response.{name}", "response": body} for name in ("created", "in_progress")])

    def _events(self, events: Sequence[Body]) -> bytes:
        written = []
        for event in events:
            written.append(_framed({"type": event["type"], "sequence_number": self._number, **event}))
            self._number += 1
        return b"".join(written)


def _data(raw: bytes) -> bytes:
    """The data of an event with its framing."""
    lines = (line for line in raw.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)


def _framed(event: Body) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event, default=dict) + b"\n\n"
