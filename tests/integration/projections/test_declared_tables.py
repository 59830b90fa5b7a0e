"""The tables of every build are those that the projection declares: with sequences and foreign keys of their own."""

from collections.abc import Callable, Sequence

import pytest
from onlooker import Onlooker, Project
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Identity, Index, MetaData, Table, Text, insert
from tally_projection import MESSAGES

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.projections import RecordedEvent, table_name
from send2llm.testing.eventually import eventually

LIVE = "SELECT version || '.' || build FROM projection_checkpoints WHERE role = 'live'"
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


async def test_a_rebuild_has_sequences_and_foreign_keys_of_its_own(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Numbered()):
        say("a", "b")
        eventually(lambda: onlooker.caught_up("numbered"))
        await builds.rebuild("numbered")
        eventually(lambda: onlooker.value(LIVE) == "1.2")
        await builds.drop("numbered", BuildName(1, 1))
        say("c")
        eventually(lambda: onlooker.value("SELECT max(number) FROM numbered_words") == 3)

        assert onlooker.rows("SELECT number, again, word FROM numbered_words ORDER BY 1") == [
            *((1, 1, "a"), (2, 2, "b"), (3, 3, "c"))
        ]
        place = "build_numbered_v1_b2"
        words, letters = f"{place}.numbered_v1_words", f"{place}.numbered_v1_letters"
        assert onlooker.rows(FOREIGN_KEYS, "%numbered_v1_letters") == [(letters, words, "c")]
        assert (
            onlooker.value(
                "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND indexname LIKE %s", *(place, "%_word")
            )
            == "numbered_v1_words_word"
        )
        assert onlooker.value("SELECT count(*) FROM projection_checkpoints WHERE reason IS NOT NULL") == 0


async def test_a_verification_finds_them_the_same(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Numbered()):
        say("a", "b")
        eventually(lambda: onlooker.caught_up("numbered"))
        await builds.verify("numbered")
        eventually(lambda: onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") != "verifying")

        assert onlooker.rows("SELECT role, reason FROM projection_checkpoints WHERE build = 2") == [("verified", None)]


async def test_what_others_made_upon_the_tables_of_a_build_is_not_dropped_with_it(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Numbered()):
        say("a")
        eventually(lambda: onlooker.caught_up("numbered"))
        await builds.rebuild("numbered")
        eventually(lambda: onlooker.value(LIVE) == "1.2")
        onlooker.connection.execute("CREATE VIEW my_words AS SELECT word FROM numbered_v1_words")
        with pytest.raises(ProjectionConflict, match="view my_words depends on table numbered_v1_words"):
            await builds.drop("numbered", BuildName(1, 1))
        await builds.rollback("numbered")
        onlooker.connection.execute("CREATE VIEW others AS SELECT word FROM build_numbered_v1_b2.numbered_v1_words")
        with pytest.raises(ProjectionConflict, match="view others depends on table"):
            await builds.drop("numbered", BuildName(1, 2))

        assert onlooker.value("SELECT count(*) FROM my_words") == 1
