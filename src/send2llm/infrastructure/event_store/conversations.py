"""The conversations in the event store on PostgreSQL."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from eventsourcing.persistence import PersistenceError
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.application.ports import AllowanceHold, Claim, Clock, Identifiers
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import ConversationEvent
from send2llm.domain.errors import (
    AllowanceIsClosed,
    ConversationNotErasable,
    ConversationNotFound,
    StaleConversation,
    StoreOverloaded,
    StoreUnavailable,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversation_appends import ConversationAppends
from send2llm.infrastructure.event_store.conversation_cache import ConversationCache
from send2llm.infrastructure.event_store.errors import AppendQueueFull, KeyNotStored, VersionConflict
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.known_keys import KnownKeys
from send2llm.infrastructure.event_store.known_tenants import KnownTenants
from send2llm.infrastructure.event_store.reading import Reader
from send2llm.infrastructure.event_store.streams import (
    allowance_of,
    conversation_id_of,
    conversation_stream,
    idempotency_stream,
    tenant_digest,
)
from send2llm.infrastructure.event_store.text_keys import TextKey

_FIND = """
SELECT head.originator_id
FROM unnest(%s::bytea[]) WITH ORDINALITY AS wanted (digest, place)
CROSS JOIN LATERAL (
    SELECT originator_id FROM conversation_heads
    WHERE conversation_heads.digest = wanted.digest
    ORDER BY notification_id DESC LIMIT 1
) AS head
ORDER BY wanted.place LIMIT 1
"""


class EventSourcedConversations:
    """Implements the ``Conversations`` port.

    Conversations that were used lately are kept folded (``ConversationCache``). A kept one may lag behind
    other processes; that shows at the latest when its next events meet others at the same versions, and then
    only what is new is read.
    """

    def __init__(
        self,
        recorder: GroupCommitRecorder,
        pool: AsyncConnectionPool,
        codec: EventCodec,
        clock: Clock,
        identifiers: Identifiers,
        cache: ConversationCache | None = None,
    ) -> None:
        self._recorder = recorder
        self._reader = Reader(pool)
        self._log = EventLog(pool, codec)
        self._appends = ConversationAppends(codec, clock, identifiers)
        self._cache = ConversationCache() if cache is None else cache
        self._keys = KnownKeys(self._reader, self._log, codec.keys)
        self._tenants = KnownTenants(self._log)
        self._textless: set[UUID] = set()
        """Loaded without texts: what is saved next is not the one to keep."""

    async def load(self, conversation_id: UUID, *, fresh: bool = False, texts: bool = True) -> Conversation:
        """A conversation of the caller's own; ``fresh`` reads what was stored since it was last seen.

        Without ``texts`` it is fresh, and as if it was erased where it is encrypted. Raises ``ConversationNotFound``,
        ``StoreUnavailable``, ``UnreadableEvent``.
        """
        if not texts:
            return await self._without_texts(conversation_id)
        known = self._cache.get(conversation_id)
        if known is None or fresh or self._cache.is_outdated(conversation_id):
            stream = conversation_stream(conversation_id)
            after = 0 if known is None else known.version
            known = await self._log.fold_stream(
                stream, after, partial(_follow, conversation_id, known), partial(self._keys.found, stream)
            )
            if not known.version:
                raise ConversationNotFound(conversation_id)
            if known.erased:
                self._cache.forget(conversation_id)
                # What was known before was perhaps read before it was erased.
                return await self._log.fold_stream(stream, 0, partial(Conversation.fold, conversation_id))
            self._cache.put(known)
        return known.copy()

    async def _without_texts(self, conversation_id: UUID) -> Conversation:
        fold = partial(Conversation.fold, conversation_id)
        conversation = await self._log.fold_stream(conversation_stream(conversation_id), 0, fold, texts=False)
        if not conversation.version:
            raise ConversationNotFound(conversation_id)
        self._textless.add(conversation_id)
        return conversation

    async def tenant_of(self, conversation_id: UUID) -> str | None:
        """Whose conversation it is, ``None`` when there is none of that id; raises ``StoreUnavailable``."""
        return await self._tenants.of(conversation_stream(conversation_id))

    async def find(self, digests: Sequence[bytes], tenant: str) -> UUID | None:
        """The conversation of ``tenant`` whose whole transcript has one of the ``digests``.

        A digest goes before those that are named after it; of conversations with the same, the last one is
        found.
        """
        rows = await self._reader.fetch(_FIND, ([tenant_digest(digest, tenant) for digest in digests],))
        return conversation_id_of(rows[0][0]) if rows else None

    async def save(
        self,
        conversation: Conversation,
        context: Context,
        *,
        claim: tuple[Claim, IdempotencyKeyClaimed] | None = None,
        holds: Sequence[AllowanceHold] = (),
    ) -> int:
        """Store its new events, all or nothing; return the last position, 0 when nothing was new.

        Raises ``StaleConversation``, ``AllowanceIsClosed``, ``StoreUnavailable``, ``StoreOverloaded``,
        ``UnreadableText`` for what is said when the conversation's key cannot be opened or is lost, and
        ``ConversationNotErasable`` for an erasure when texts were stored in plain. A cancelled caller stops waiting;
        the events are stored all the same.
        """
        if conversation.erased:
            await self._must_be_erasable(conversation.id)
        stream = conversation_stream(conversation.id)
        key = await self._keys.for_append(stream, begins=not conversation.stored_version)
        append = self._appends.make(conversation, context, claim, holds, key=key)
        if append is None:
            return 0
        try:
            stored = self._recorder.append(append)
            stored.add_done_callback(self._remembering(conversation.copy(), key.known if key else None))
            positions = await asyncio.shield(stored)
        except VersionConflict as conflict:
            if conflict.originator_version == BEHIND_THE_LAST:
                raise AllowanceIsClosed(allowance_of(conflict.originator_id)) from None
            raise StaleConversation(conversation.id) from None
        except KeyNotStored:
            raise StaleConversation(conversation.id) from None  # the next look at the key tells whether it is lost
        except AppendQueueFull as error:
            raise StoreOverloaded(f"{error} Try again in a moment.") from error
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        return max(positions)

    async def claim(self, key: str, tenant: str) -> Claim:
        """What an idempotency key stands for by now; raises ``StoreUnavailable``."""
        last = await self._log.last_of(idempotency_stream(key, tenant))
        if last is None:
            return Claim(key, 0, None)
        return Claim(key, last.version, last.event if isinstance(last.event, IdempotencyKeyClaimed) else None)

    async def _must_be_erasable(self, conversation_id: UUID) -> None:
        plain = await self._log.first_in_plain(conversation_stream(conversation_id))
        if plain is not None:
            raise ConversationNotErasable(conversation_id, plain)

    def _remembering(self, saved: Conversation, key: TextKey | None) -> Callable[[asyncio.Future[Any]], None]:
        """Keeps what is known true whatever becomes of the append, also when nobody waits for it any more."""
        stream = conversation_stream(saved.id)

        def remember(stored: asyncio.Future[Any]) -> None:
            if stored.cancelled() or stored.exception() is not None:
                self._cache.mark_outdated(saved.id)
                self._keys.forget(stream)
            elif saved.erased or saved.id in self._textless:
                self._textless.discard(saved.id)
                self._cache.forget(saved.id)
                self._keys.forget(stream)
            else:
                self._cache.put(saved)
                self._keys.know(stream, key)

        return remember


def _follow(conversation_id: UUID, known: Conversation | None, events: Sequence[ConversationEvent]) -> Conversation:
    if known is not None and not events:
        return known
    conversation = Conversation(conversation_id) if known is None else known.copy()
    conversation.follow(events)
    return conversation
