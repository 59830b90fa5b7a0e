"""OpenAI's embeddings as callers have them: ``POST /v1/embeddings``.

https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence

import orjson

from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import EmbeddingPart
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_embeddings.operation import OPERATION
from send2llm.infrastructure.formats.openai_embeddings.requests import FORMAT, Encoding, read_request
from send2llm.infrastructure.formats.openai_errors import write_error

_CONVERSATION = b"x-send2llm-conversation-id"


class OpenAIEmbeddingsFormat:
    """A ``CallerFormat``.

    An answer is always written anew: providers are asked for the encoding that the event store holds, whatever the
    caller wants.
    """

    name = FORMAT
    # Some clients (litellm_proxy) leave the version out.
    paths = ("/v1/embeddings", "/embeddings")
    operation = OPERATION

    def read(self, body: Body, headers: Mapping[bytes, bytes]) -> CallerRequest:
        """Read a parsed body."""
        if _CONVERSATION in headers:
            raise InvalidRequest(
                "Embeddings belong to no conversation that goes on: leave x-send2llm-conversation-id out."
            )
        request = read_request(body)
        return CallerRequest(
            request.model,
            (request.message,),
            request.parameters,
            options=request.encoding,
            path_of=lambda _, part: "input" if part is None or isinstance(body["input"], str) else f"input.{part}",
        )

    def write(self, completion: Completion, facts: AnswerFacts, request: CallerRequest) -> bytes:
        """A whole answer."""
        encoding: Encoding = request.options
        parts = completion.answers[0].message.parts
        vectors = [part.vector for part in parts if isinstance(part, EmbeddingPart)]
        tokens = 0 if completion.usage is None else completion.usage.input_tokens
        return orjson.dumps(
            {
                "id": f"embd-{facts.completion_id}",  # OpenAI has none, but clients of those who follow it want one
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": _encoded(vector, encoding)}
                    for index, vector in enumerate(vectors)
                ],
                "model": completion.response_model or facts.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    def writer(self, facts: AnswerFacts, request: CallerRequest) -> "NoStream":  # noqa: ARG002 - others need them
        """Never asked for: no request for embeddings is a stream."""
        return NoStream()

    def error(self, error: ShownError) -> bytes:
        """The body of an error."""
        return write_error(error)


def _encoded(vector: str, encoding: Encoding) -> str | list[float]:
    if encoding == "base64":
        return vector
    numbers = array("f", base64.b64decode(vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


class NoStream:
    """Embeddings come whole."""

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def write(self, batch: Sequence[Delta]) -> bytes:  # noqa: ARG002 - see the class
        """Nothing."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def error(self, error: ShownError) -> bytes:
        """The error, as it would be without a stream."""
        return write_error(error)
