"""OpenAI's chat completions as callers have them: ``POST /v1/chat/completions``.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from send2llm.domain.completion import Completion, Delta
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat.chunks import DONE, is_only_usage, is_silent, write_chunk
from send2llm.infrastructure.formats.openai_chat.operation import OPERATION
from send2llm.infrastructure.formats.openai_chat.paths import path_in
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT
from send2llm.infrastructure.formats.openai_chat.replies import write_reply
from send2llm.infrastructure.formats.openai_chat.requests import read_request
from send2llm.infrastructure.formats.openai_errors import write_error


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """``include_usage``: the caller's stream shall end with the usage."""

    include_usage: bool


class OpenAIChatFormat:
    """A ``CallerFormat``."""

    name = FORMAT
    # Some clients (litellm_proxy) leave the version out.
    paths = ("/v1/chat/completions", "/chat/completions")
    operation = OPERATION

    def read(self, body: Body, headers: Mapping[bytes, bytes]) -> CallerRequest:  # noqa: ARG002 - other formats do
        """Read a parsed body."""
        request = read_request(body)
        return CallerRequest(
            request.model,
            request.messages,
            request.parameters,
            request.stream,
            options=ChatOptions(request.include_usage),
            path_of=partial(path_in, body),
        )

    def write(self, completion: Completion, facts: AnswerFacts, request: CallerRequest) -> bytes:  # noqa: ARG002 - as above
        """A whole answer."""
        if completion.format == FORMAT and completion.body:
            return completion.body
        return orjson.dumps(write_reply(completion, model=facts.model, created=facts.created), default=dict)

    def writer(self, facts: AnswerFacts, request: CallerRequest) -> "ChunkWriter":
        """For one streamed answer."""
        options: ChatOptions = request.options
        return ChunkWriter(facts, include_usage=options.include_usage)

    def error(self, error: ShownError) -> bytes:
        """The body of an error."""
        return write_error(error)


class ChunkWriter:
    """Writes pieces of an answer as chunks.

    The usage that Send2LLM asks providers for on its own account goes only to callers who asked for it too.
    """

    def __init__(self, facts: AnswerFacts, *, include_usage: bool) -> None:
        self._id = f"chatcmpl-{facts.completion_id}"
        self._model = facts.model
        self._created = facts.created
        self._include_usage = include_usage

    def begin(self) -> bytes:
        """Nothing: the first chunk is an ordinary one."""
        return b""

    def write(self, batch: Sequence[Delta]) -> bytes:
        """The chunks: the provider's own bytes where there are any."""
        return b"".join(
            [
                delta.raw if delta.raw is not None and delta.format == FORMAT else self._chunk(delta)
                for delta in batch
                if (self._include_usage or not is_only_usage(delta)) and not is_silent(delta)
            ]
        )

    def end(self) -> bytes:
        """The end mark."""
        return DONE

    def error(self, error: ShownError) -> bytes:
        """OpenAI's error event."""
        return b"data: " + write_error(error) + b"\n\n"

    def _chunk(self, delta: Delta) -> bytes:
        return write_chunk(delta, response_id=self._id, model=self._model, created=self._created)
