"""Events to test projections with: conversations as they would be, stored as they would be."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore

from send2llm.application.context import DEFAULT_TENANT, Metadata
from send2llm.domain.completion import Answer, Parameters, Usage
from send2llm.domain.conversation_events import (
    CompletionReceived,
    CompletionRequested,
    ConversationErased,
    ConversationEvent,
    MessageAdded,
)
from send2llm.domain.message import Message, TextPart
from send2llm.domain.routing import Candidate, Decision
from send2llm.infrastructure.event_store.append import Append, StreamKey
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import TextKey, TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo

SOME_USAGE = Usage(input_tokens=12, output_tokens=7)


class EventWriter:
    """Stores events by the real recorder, from as many threads as there are writers.

    ``write`` prepares and stores; ``prepare`` and ``store`` do it in two steps, for who measures the second. Texts are
    encrypted if there are ``keys``.
    """

    def __init__(self, database: ConnectionInfo, keys: TextKeys | None = None) -> None:
        self.codec = EventCodec(EventRegistry.default(), keys)
        self._keys: dict[str, TextKey] = {}
        self._key_changes: dict[str, StreamKey] = {}
        self._datastore = PostgresDatastore(
            database.dbname,
            database.host,
            database.port,
            database.user,
            database.password,
            originator_id_type="text",
        )
        self._recorder = GroupCommitRecorder(self._datastore)
        self._versions: Counter[UUID] = Counter()

    def write(
        self,
        conversation_id: UUID,
        *events: ConversationEvent,
        tenant: str = DEFAULT_TENANT,
        at: datetime | None = None,
    ) -> Sequence[int]:
        """Append to a conversation; gives the positions."""
        return self.store(self.prepare(conversation_id, *events, tenant=tenant, at=at))

    def prepare(
        self,
        conversation_id: UUID,
        *events: ConversationEvent,
        tenant: str = DEFAULT_TENANT,
        at: datetime | None = None,
    ) -> list[StoredEvent]:
        """The rows for the next events of a conversation."""
        stream, rows = conversation_stream(conversation_id), []
        key = self._key_of(stream)
        for event in events:
            if isinstance(event, ConversationErased):
                self._key_changes[stream] = StreamKey(stream, None)
            self._versions[conversation_id] += 1
            metadata = Metadata(
                event_id=uuid4(),
                occurred_at=at or datetime.now(UTC),
                correlation_id=uuid4(),
                causation_id=None,
                actor="tester",
                tenant=tenant,
            )
            rows.append(self.codec.encode(stream, self._versions[conversation_id], event, metadata, key))
        return rows

    def store(self, rows: Sequence[StoredEvent]) -> Sequence[int]:
        """Store rows in one transaction."""
        changes = (self._key_changes.pop(stream, None) for stream in {str(row.originator_id) for row in rows})
        if keys := [change for change in changes if change is not None]:
            return self._recorder.submit(Append(rows, keys=keys)).result()
        return self._recorder.insert_events(rows)

    def _key_of(self, stream: str) -> TextKey | None:
        if self.codec.keys is None:
            return None
        if stream not in self._keys:
            key = self._keys[stream] = self.codec.keys.new(stream)
            self._key_changes[stream] = StreamKey(stream, key.wrapped)
        return self._keys[stream]

    def close(self) -> None:
        self._recorder.close()
        self._datastore.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def said(text: str) -> MessageAdded:
    """The user says ``text``."""
    return MessageAdded(message=Message("user", (TextPart(text),)))


def requested(
    completion_id: UUID,
    *,
    process: str = "process-1",
    provider: str = "echo",
    model: str = "parrot",
    price_version: str | None = "test 1",
) -> CompletionRequested:
    """The intent to ask ``model`` of ``provider``."""
    return CompletionRequested(
        completion_id=completion_id,
        requested_model=f"{provider}/{model}",
        parameters=Parameters(),
        decision=Decision("named", (Candidate(provider, model, "named by the caller"),)),
        provider=provider,
        model=model,
        process=process,
        price_version=price_version,
    )


def received(
    completion_id: UUID,
    text: str = "Polly wants a cracker.",
    *,
    provider: str = "echo",
    model: str = "parrot",
    usage: Usage | None = SOME_USAGE,
    cost_usd: Decimal | None = Decimal("0.000123"),
) -> CompletionReceived:
    """The answer ``text``."""
    return CompletionReceived(
        completion_id=completion_id,
        provider=provider,
        model=model,
        answers=(Answer(Message("assistant", (TextPart(text),)), "stop"),),
        attempts=1,
        duration=0.25,
        time_to_first_token=0.05,
        reported_usage=usage,
        cost_usd=cost_usd,
        price_version="test 1",
    )


def turn(question: str, answer: str = "Polly wants a cracker.", **where: str) -> list[ConversationEvent]:
    """What one call adds to a conversation; ``where`` may name ``provider`` and ``model``."""
    completion_id = uuid4()
    return [
        said(question),
        requested(completion_id, **where),
        received(completion_id, answer, **where),  # type: ignore[arg-type] # the names go to text parameters
    ]
