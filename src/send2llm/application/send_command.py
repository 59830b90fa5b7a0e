"""What a caller asks for: the command of the main use case."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from uuid import UUID

from send2llm.application.field_paths import PathOf, usual_path
from send2llm.application.told import Told
from send2llm.domain.completion import Parameters
from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.message import JsonObject, Message, no_extras
from send2llm.domain.prompt_template_events import TemplateUse

_DIGEST = b"s2l same request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Ask a model for an answer to ``messages``.

    With a ``conversation_id`` they are added to that conversation; if they begin with all that was said in it
    already, only the rest is. Without one, they continue the conversation whose transcript they begin with, or start
    a new one. ``parts_only`` says that the messages are new in any case and are never compared. With ``after`` they
    follow an earlier answer: in its conversation if nothing has been said there since, else in a branch of it.
    ``template`` is what the first of them were made from, for the record. A conversation that begins with them gets the
    ``labels``; a branch has those of its conversation, too.
    """

    model: str
    messages: Sequence[Message]
    parameters: Parameters
    conversation_id: UUID | None = None
    parts_only: bool = False
    streaming: bool = False
    idempotency_key: str | None = None
    labels: JsonObject = field(default_factory=no_extras)
    after: EarlierAnswer | None = None
    template: TemplateUse | None = None
    path_of: PathOf = field(default=usual_path, compare=False, repr=False)
    """Where in the caller's request a message stands, for errors."""


def request_digest(command: SendMessage, idempotency_key: str = "") -> str:
    """What makes two requests the same: the model, the messages, the conversation, and how to answer.

    It is stored, so it must not change: parameters at their defaults do not count, and so new ones may be added. It is
    keyed by the idempotency key, and stored among the texts: whoever knows both could try guesses of what was said.
    """
    usual = Parameters()
    chosen = {
        known.name: value
        for known in fields(Parameters)
        if (value := getattr(command.parameters, known.name)) != getattr(usual, known.name)
    }
    if command.parameters.embedding is not None:
        chosen["embedding"] = asdict(command.parameters.embedding)
    words = [command.model, str(command.conversation_id), chosen]
    if command.after is not None:
        words.append(str(command.after.completion_id))
    text = json.dumps(words, sort_keys=True, default=dict).encode()
    secret = idempotency_key.encode("utf-8", "surrogatepass")
    key = blake2b(secret, person=_DIGEST).digest() if secret else b""
    return blake2b(Told(command.messages).digests[-1] + text, digest_size=16, key=key).hexdigest()
