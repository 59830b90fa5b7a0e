"""What is about to be sent to a model: the transcript, or less of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import ContextShortened
from send2llm.domain.message import Message
from send2llm.domain.routing import Candidate


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call whose conversation is known, before money is held and a provider is asked.

    ``messages`` are sent, to whichever of the ``candidates`` is asked; at first they are the ``transcript``, of which
    the first ``stored_messages`` were said before. ``shortened_before`` is how less than all was sent the last time.
    ``shortened`` says that it is done, anew, this time, and is stored together with the intent.
    """

    conversation_id: UUID
    completion_id: UUID
    transcript: Sequence[Message]
    messages: Sequence[Message]
    stored_messages: int
    parameters: Parameters
    candidates: Sequence[Candidate]
    shortened_before: ContextShortened | None = None
    shortened: ContextShortened | None = None


Prepare = Callable[[Outgoing], Awaitable[Outgoing]]
"""Changes what is sent."""
