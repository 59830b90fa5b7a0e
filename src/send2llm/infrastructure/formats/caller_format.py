"""What a wire format is to those who call Send2LLM: how their requests are read and how answers are written.

Formats are found by their entry points in the group ``send2llm.formats``; the built-in ones use the same door. All of
it is pure: reading the body, sending the answer and noticing a caller that leaves is the endpoint's work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from send2llm.application.field_paths import PathOf, usual_path
from send2llm.domain.completion import Completion, Delta, Parameters
from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.message import Message
from send2llm.infrastructure.formats.fields import Body


@dataclass(frozen=True, slots=True)
class CallerRequest:
    """A request in words of the domain.

    ``after``: it goes on from an earlier answer instead of telling what was said. ``options`` is what the format
    itself wants to remember of the request for writing the answer. ``path_of`` tells where in the body a message
    stands, for errors.
    """

    model: str
    messages: Sequence[Message]
    parameters: Parameters
    stream: bool = False
    after: EarlierAnswer | None = None
    options: Any = None
    path_of: PathOf = usual_path


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is known of an answer when it begins; ``created`` in seconds since 1970."""

    conversation_id: UUID
    completion_id: UUID
    provider: str
    model: str
    created: int


@dataclass(frozen=True, slots=True)
class ShownError:
    """An error, ready to be shown: ``type`` and ``code`` are short stable names, ``param`` the field at fault.

    ``details`` are further facts for programs, such as the numbers of a budget; ``request_id`` is what the service's
    log calls the request.
    """

    status: int
    type: str
    code: str
    message: str
    param: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None


class StreamWriter(Protocol):
    """Writes one streamed answer, events with their framing.

    A piece that came in this very format has its bytes with it (``Delta.raw``), which are passed on unchanged. The
    end of the answer is given to ``write`` only when it is in the event store.
    """

    def begin(self) -> bytes:
        """What comes before the first piece."""
        ...

    def write(self, batch: Sequence[Delta]) -> bytes:
        """Some pieces; ``b""`` if there is nothing to say yet."""
        ...

    def end(self) -> bytes:
        """What comes after the last piece of an answer that ended well."""
        ...

    def error(self, error: ShownError) -> bytes:
        """The error in the middle: the status is out already, and no end follows."""
        ...


class CallerFormat(Protocol):
    """A format that callers speak."""

    name: str
    """Its name in the domain (``Message.format``)."""
    paths: Sequence[str]
    """Where it is served, by POST; the first is the one that is documented."""
    operation: Body
    """The OpenAPI operation of the first path."""

    def read(self, body: Body, headers: Mapping[bytes, bytes]) -> CallerRequest:
        """Read a parsed body; raises ``InvalidRequest`` with the path of the field at fault."""
        ...

    def write(self, completion: Completion, facts: AnswerFacts, request: CallerRequest) -> bytes:
        """A whole answer: the provider's own bytes where it speaks this format, else the same said in it."""
        ...

    def writer(self, facts: AnswerFacts, request: CallerRequest) -> StreamWriter:
        """For one streamed answer."""
        ...

    def error(self, error: ShownError) -> bytes:
        """The body of an error."""
        ...
