"""Calls of dead processes, found in the real history and ended in the real event store."""

from uuid import uuid4

from eventsourcing.postgres import PostgresDatastore
from psycopg_pool import AsyncConnectionPool

from send2llm.application.recovery import RecoverUnfinishedCalls
from send2llm.domain.conversation_events import CompletionInterrupted, ConversationStarted
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.process_registry import PostgresProcesses, RegisteredProcess
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.testing.clock import FakeClock, SequentialIdentifiers
from send2llm.testing.event_writer import EventWriter, requested, said


async def test_only_calls_of_dead_processes_are_ended(
    migrated: ConnectionInfo, writer: EventWriter, pool: AsyncConnectionPool
) -> None:
    clock, identifiers, history = FakeClock(), SequentialIdentifiers(), PostgresHistory(PresentTables(pool))
    datastore = PostgresDatastore(
        migrated.dbname, migrated.host, migrated.port, migrated.user, migrated.password, originator_id_type="text"
    )
    recorder = GroupCommitRecorder(datastore)
    conversations = EventSourcedConversations(recorder, pool, writer.codec, clock, identifiers)
    recover = RecoverUnfinishedCalls(history, PostgresProcesses(pool), conversations, identifiers, clock)
    dead, alive = (uuid4(), uuid4()), (uuid4(), uuid4())
    with RegisteredProcess(migrated.dsn) as process:
        for (conversation_id, completion_id), name in ((dead, "long gone"), (alive, process.name)):
            writer.write(conversation_id, ConversationStarted(), said("hello"), requested(completion_id, process=name))
        with Projector(migrated, [HistoryProjection()], writer.codec).running():
            await _caught_up(pool, writer)
            recovery = await recover()
            assert [(call.conversation_id, call.completion_id) for call in recovery.interrupted] == [dead]
            assert recovery.others == []
            # The history lags: a second look finds nothing new to do, whether it sees the ending already or not.
            assert not (await recover()).interrupted
            await _caught_up(pool, writer)
            assert [call.completion_id for call in await history.open_completions()] == [alive[1]]
    recorder.close()
    datastore.close()

    last = (await EventLog(pool, writer.codec).events_of(dead[0]))[-1]
    assert isinstance(last.event, CompletionInterrupted)
    assert (last.event.reason, last.event.completion_id) == ("process_gone", dead[1])
    assert (last.metadata.actor, last.metadata.causation_id) == ("send2llm", dead[1])


async def _caught_up(pool: AsyncConnectionPool, writer: EventWriter) -> None:
    statuses = PostgresProjections(pool, writer.codec)
    clock_free_looks = 0
    while not any(status.head and not status.lag_events for status in await statuses.all()):
        clock_free_looks += 1
        assert clock_free_looks < 20_000
