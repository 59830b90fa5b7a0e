"""What the store is given when a conversation is saved: rows, the head of the transcript, and keys."""

from collections.abc import Sequence

from send2llm.application.context import Context
from send2llm.application.ports import AllowanceHold, Claim, Clock, Identifiers
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import (
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    ConversationClosed,
    ConversationErased,
    ConversationEvent,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST, Append, StreamKey, TranscriptHead
from send2llm.infrastructure.event_store.append_key import AppendKey
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.event_rows import EventRows
from send2llm.infrastructure.event_store.streams import (
    allowance_stream,
    conversation_stream,
    idempotency_stream,
    tenant_digest,
)

_ENDINGS = (CompletionReceived, CompletionFailed, CompletionInterrupted, CompletionRefused)


class ConversationAppends:
    """Turns the new events of conversations into appends, with the metadata of the command that made them."""

    def __init__(self, codec: EventCodec, clock: Clock, identifiers: Identifiers) -> None:
        self._rows = EventRows(codec, clock, identifiers)

    def make(
        self,
        conversation: Conversation,
        context: Context,
        claim: tuple[Claim, IdempotencyKeyClaimed] | None = None,
        holds: Sequence[AllowanceHold] = (),
        *,
        key: AppendKey | None = None,
    ) -> Append | None:
        """Collect the conversation's new events; ``None`` when there is nothing to store.

        Texts are encrypted under the ``key``, which is stored with them when it is new, must be stored already when it
        is not, and is destroyed by an erasure. Raises ``UnreadableText`` for texts when it is not to be had.
        """
        version, events = conversation.collect()
        stream = conversation_stream(conversation.id)
        row = self._rows.row
        rows = [row(stream, version + n, event, context, key) for n, event in enumerate(events, 1)]
        if claim is not None:
            claimed, event = claim
            key_stream = idempotency_stream(claimed.key, context.tenant)
            rows.append(row(key_stream, claimed.version + 1, event, context))
        if rows:  # money is held for something that happens, or not at all
            rows += [row(allowance_stream(hold.allowance_id), BEHIND_THE_LAST, hold.event, context) for hold in holds]
        if not rows:
            return None
        heads = _heads(stream, conversation, events, context.tenant)
        if any(isinstance(event, ConversationErased) for event in events):
            return Append(rows, heads, keys=[StreamKey(stream, None)])
        if key is None or key.known is None:
            return Append(rows, heads)
        stored = [StreamKey(stream, key.known.wrapped)]
        if key.is_new:
            return Append(rows, heads, keys=stored)
        return Append(rows, heads, needed_keys=stored if key.used else ())


def _heads(
    stream: str, conversation: Conversation, events: Sequence[ConversationEvent], tenant: str
) -> Sequence[TranscriptHead]:
    """A conversation is found by its transcript while it waits for its caller to go on; never once closed."""
    if any(isinstance(event, ConversationClosed | ConversationErased) for event in events):
        return (TranscriptHead(stream, None),)
    if any(isinstance(event, _ENDINGS) for event in events):
        return (TranscriptHead(stream, tenant_digest(conversation.digest, tenant)),)
    return ()
