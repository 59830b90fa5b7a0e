"""Every projection that comes along: a rebuild from zero equals its running twin, wherever batches are cut."""

from collections.abc import Iterator
from random import Random
from uuid import uuid4

import pytest
from growing import Calls, begin_anew, follow

from send2llm.bootstrap.followers import projections
from send2llm.domain.allowance_events import AllowanceClosed
from send2llm.domain.conversation_events import ConversationErased, ConversationStarted, FeedbackGiven
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import Settings
from send2llm.testing.event_writer import EventWriter, turn
from send2llm.testing.money_log import RIGHT

BUILT_IN = projections(Settings())


@pytest.fixture
def writer(migrated: ConnectionInfo) -> Iterator[EventWriter]:
    with EventWriter(migrated, TextKeys.generate()) as writer:
        yield writer


@pytest.mark.parametrize("page_size", [1, 7, 1000])
def test_a_rebuild_from_zero_equals_its_running_twin(
    migrated: ConnectionInfo, writer: EventWriter, page_size: int
) -> None:
    calls = Calls(writer, Random(page_size))

    def live() -> None:
        calls.live()
        # One event to a commit, so that the twin meets the end of an allowance long after its beginning.
        for row in RIGHT.then(ended=AllowanceClosed(reason="settled")).stored(writer.codec):
            writer.store([row])
        forgotten = uuid4()
        writer.write(forgotten, ConversationStarted(), *turn("a secret"))
        writer.write(forgotten, FeedbackGiven(completion_id=None, score=1, comment="another secret"))
        writer.write(forgotten, ConversationErased(reason="asked for"))
        calls.live()

    grown = follow(migrated, BUILT_IN, writer, 1000, live)
    assert all(grown.values()), "a table that stays empty shows nothing"
    assert "secret" not in str(grown)
    begin_anew(migrated, BUILT_IN)
    assert follow(migrated, BUILT_IN, writer, page_size) == grown
