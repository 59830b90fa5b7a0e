"""What is erased while builds are compared is no difference between them."""

from uuid import uuid4

from sqlalchemy import Engine, text
from stage import QUICK, Stage

from send2llm.domain.conversation_events import ConversationErased, ConversationStarted
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.arrival import Arrival
from send2llm.infrastructure.projections.builds import begin_build
from send2llm.infrastructure.projections.checkpoints import BuildKey, builds_of
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint
from send2llm.infrastructure.projections.table_creation import create_tables
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually


def test_a_text_that_the_live_build_still_has_is_waited_for(
    stage: Stage, migrated: ConnectionInfo, engine: Engine
) -> None:
    history, conversation = HistoryProjection(), uuid4()
    with EventWriter(migrated, TextKeys.generate()) as writer:
        projector = Projector(migrated, [history], writer.codec, QUICK)
        writer.write(conversation, ConversationStarted(), said("secret"))
        with projector.running():
            eventually(lambda: stage.caught_up("history"))
        live_at = stage.position("history")
        writer.write(conversation, ConversationErased())

        with engine.connect() as connection:
            with connection.begin():
                begin_build(connection, "history", "verifying")
            with connection.begin():
                (key,) = (one.key for one in builds_of(connection, "history") if one.role == "verifying")
                connection.execute(text(f"SET search_path TO {key.place}, public"))
                create_tables(connection, history, key)
                checkpoint = Checkpoint(key)
                position = checkpoint.begin(connection)
            reached = Arrival(history, checkpoint, LogPages(writer.codec)).at_the_end(connection, position)
        assert (reached, _of(stage, key)) == (live_at, ("verifying", live_at, None))

        with projector.running():
            eventually(lambda: _of(stage, key)[0] == "verified")


def _of(stage: Stage, key: BuildKey) -> tuple[object, ...]:
    (found,) = stage.rows(
        "SELECT role, position, reason FROM projection_checkpoints WHERE name = %s AND build = %s", key.name, key.build
    )
    return found
