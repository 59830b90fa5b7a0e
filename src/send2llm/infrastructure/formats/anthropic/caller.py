"""Anthropic's messages as callers have them: ``POST /v1/messages``.

https://platform.claude.com/docs/en/api/messages/create
"""

from collections.abc import Mapping, Sequence
from functools import partial

import orjson

from send2llm.domain.completion import Completion
from send2llm.infrastructure.formats.anthropic.errors import write_error
from send2llm.infrastructure.formats.anthropic.names import BETA_FIELD, FORMAT, VERSION_FIELD
from send2llm.infrastructure.formats.anthropic.operation import OPERATION
from send2llm.infrastructure.formats.anthropic.paths import path_in
from send2llm.infrastructure.formats.anthropic.replies import write_reply
from send2llm.infrastructure.formats.anthropic.requests import read_request
from send2llm.infrastructure.formats.anthropic.writing_events import EventWriter
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.formats.fields import Body

_CARRIED = (VERSION_FIELD, BETA_FIELD)


class AnthropicFormat:
    """A ``CallerFormat``."""

    name = FORMAT
    paths: Sequence[str] = ("/v1/messages",)
    operation = OPERATION

    def read(self, body: Body, headers: Mapping[bytes, bytes]) -> CallerRequest:
        """Read a parsed body; the headers that belong to the format are kept for providers that speak it."""
        request = read_request(body, carried_headers(headers))
        place = partial(path_in, body)
        return CallerRequest(request.model, request.messages, request.parameters, request.stream, path_of=place)

    def write(self, completion: Completion, facts: AnswerFacts, request: CallerRequest) -> bytes:  # noqa: ARG002 - other formats need it
        """A whole answer."""
        if completion.format == FORMAT and completion.body:
            return completion.body
        return orjson.dumps(write_reply(completion, response_id=_id(facts), model=facts.model), default=dict)

    def writer(self, facts: AnswerFacts, request: CallerRequest) -> EventWriter:  # noqa: ARG002 - as above
        """For one streamed answer."""
        return EventWriter(response_id=_id(facts), model=facts.model)

    def error(self, error: ShownError) -> bytes:
        """The body of an error."""
        return write_error(error)


def carried_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The version and the beta features that a caller asks for."""
    found = {name: headers.get(name.encode()) for name in _CARRIED}
    return {name: value.decode("latin-1") for name, value in found.items() if value}


def _id(facts: AnswerFacts) -> str:
    return f"msg_{facts.completion_id.hex}"
