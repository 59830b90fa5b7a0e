"""The tables of every build are those that the projection declares: with sequences and foreign keys of their own."""

from collections.abc import Sequence

import pytest
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Identity, Index, MetaData, Table, Text, insert
from stage import Builds, Stage
from tally_projection import MESSAGES

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.projections import RecordedEvent, table_name
from send2llm.testing.eventually import eventually

FOREIGN_KEYS = (
    "SELECT conrelid::regclass::text, confrelid::regclass::text, confdeltype::text FROM pg_constraint "
    "WHERE contype = 'f' AND conrelid::regclass::text LIKE %s"
)


class Numbered:
    """Numbers what was said, twice, and keeps letters that go with their words."""

    name = "numbered"
    version = 1
    topics = frozenset({MESSAGES})
    tables = MetaData()
    words = Table(
        table_name(name, version, "words"),
        tables,
        Column("number", BigInteger, primary_key=True),
        Column("again", BigInteger, Identity(always=True)),
        Column("word", Text, nullable=False),
        Index("numbered_v1_words_word", "word"),
    )
    letters = Table(
        table_name(name, version, "letters"),
        tables,
        Column("word", BigInteger, ForeignKey(words.c.number, ondelete="CASCADE"), nullable=False),
    )

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        for recorded in events:
            new = insert(self.words).values(word=recorded.event.message.text).returning(self.words.c.number)
            number = connection.execute(new).scalar_one()
            connection.execute(insert(self.letters).values(word=number))


async def test_a_rebuild_has_sequences_and_foreign_keys_of_its_own(stage: Stage, builds: Builds) -> None:
    with stage.project(Numbered()):
        stage.say("a", "b")
        eventually(lambda: stage.caught_up("numbered"))
        await builds.rebuild("numbered")
        await builds.until("1.2", role="live", of="numbered")
        await builds.drop("numbered", BuildName(1, 1))
        stage.say("c")
        eventually(lambda: stage.value("SELECT max(number) FROM numbered_words") == 3)

        assert stage.rows("SELECT number, again, word FROM numbered_words ORDER BY 1") == [
            *((1, 1, "a"), (2, 2, "b"), (3, 3, "c"))
        ]
        place = "build_numbered_v1_b2"
        words, letters = f"{place}.numbered_v1_words", f"{place}.numbered_v1_letters"
        assert stage.rows(FOREIGN_KEYS, "%numbered_v1_letters") == [(letters, words, "c")]
        assert (
            stage.value(
                "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND indexname LIKE %s", *(place, "%_word")
            )
            == "numbered_v1_words_word"
        )
        assert stage.value("SELECT count(*) FROM projection_checkpoints WHERE reason IS NOT NULL") == 0


async def test_a_verification_finds_them_the_same(stage: Stage, builds: Builds) -> None:
    with stage.project(Numbered()):
        stage.say("a", "b")
        eventually(lambda: stage.caught_up("numbered"))
        await builds.verify("numbered")
        eventually(lambda: stage.checkpoint("role", "1.2", of="numbered") != "verifying")

        assert stage.rows("SELECT role, reason FROM projection_checkpoints WHERE build = 2") == [("verified", None)]


async def test_what_others_made_upon_the_tables_of_a_build_is_not_dropped_with_it(stage: Stage, builds: Builds) -> None:
    with stage.project(Numbered()):
        stage.say("a")
        eventually(lambda: stage.caught_up("numbered"))
        await builds.rebuild("numbered")
        await builds.until("1.2", role="live", of="numbered")
        stage.execute("CREATE VIEW my_words AS SELECT word FROM numbered_v1_words")
        with pytest.raises(ProjectionConflict, match="view my_words depends on table numbered_v1_words"):
            await builds.drop("numbered", BuildName(1, 1))
        await builds.rollback("numbered")
        stage.execute("CREATE VIEW others AS SELECT word FROM build_numbered_v1_b2.numbered_v1_words")
        with pytest.raises(ProjectionConflict, match="view others depends on table"):
            await builds.drop("numbered", BuildName(1, 2))

        assert stage.value("SELECT count(*) FROM my_words") == 1
