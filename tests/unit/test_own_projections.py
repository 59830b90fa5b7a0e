from pathlib import Path

import pytest
from sqlalchemy import MetaData

from send2llm.bootstrap.followers import built_in_projections, projections
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.projections.soundness import checked
from send2llm.interfaces.serving.supervisor import ServiceSupervisor
from send2llm.settings import Settings


class Mine:
    name = "mine"
    version = 1
    topics = frozenset({"conversation.closed"})
    tables = MetaData()

    def fold(self, events, connection):
        pass


def names_at(*places):
    """Of those that come along, of those of installed packages, and of those at the places."""
    return [projection.name for projection in projections(Settings(projections=places))]


def test_projections_of_ones_own_stand_beside_those_that_come_along():
    without = names_at()

    assert without[:4] == ["history", "cost_ledger", "usage", "trail"]
    assert names_at(f"{__name__}:Mine") == [*without, "mine"]


@pytest.mark.parametrize("place", ["nowhere:Mine", f"{__name__}:Missing", __name__, f"{__name__}:", "pytest:Mark"])
def test_what_cannot_be_loaded_is_told(place):
    with pytest.raises(ConfigurationError, match="projection"):
        projections(Settings(projections=(place,)))


SOUND = """
from sqlalchemy import *
from sqlalchemy.dialects.postgresql import DOMAIN
from send2llm.projections import table_name

class Mine:
    name = "mine"
    version = 1
    topics = frozenset({"conversation.closed"})
    tables = MetaData()
    kept = Table(table_name(name, version, "kept"), tables, Column("word", Text))

    def fold(self, events, connection):
        pass
"""


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("version = 1", "version = = 1", "cannot be loaded .SyntaxError"),
        ("def fold", "def flod", "it has no fold"),
        ("topics", "topicz", "it has no topics"),
        ("conversation.closed", "conversation.closde", "no events of the topic 'conversation.closde'. Did you mean"),
        ('frozenset({"conversation.closed"})', '"conversation.closed"', "topics are one text; write {'conv"),
        ('"mine"', '"My reports"', "its name is 'My reports'"),
        ('"mine"', '"history"', "history is a projection of Send2LLM's own"),
        ("version = 1", 'version = "1"', "its version is '1'"),
        ('table_name(name, version, "kept")', '"kept"', "'kept' has to be named by table_name"),
        ('table_name(name, version, "kept")', 'table_name(name, 2, "kept")', "has to be named by table_name"),
        ('"mine"', f'"{"m" * 41}"', "its name is 'm+'; it has 41 characters, and 40 are the most"),
        ("version = 1", f"version = {2**31}", f"its version is {2**31}; use 1, 2 and so on"),
        ('table_name(name, version, "kept")', f'"mine_v1_{"ü" * 30}"', "'mine_v1_ü+' is longer than 63 bytes"),
        (
            ", Text))",
            ", Text), Column('n', Integer, Sequence('numbers')))",
            "the sequence 'numbers', which all versions",
        ),
        (
            ", Text))",
            ", Text)); Sequence('numbers', metadata=tables)",
            "it makes the sequence 'numbers'.* use Identity",
        ),
        (", Text))", ", Enum('a', name='kind')))", "it makes the type 'kind', which all versions .* native_enum=False"),
        (", Text))", ", ARRAY(DOMAIN('kind', Text))))", "it makes the type 'kind'"),
        (", Text))", ", Text), Index('by_word', 'word'))", "its index or constraint 'by_word' needs 'mine_v1_' in its"),
        (
            ", Text))",
            ", Text), UniqueConstraint('word', name='one'))",
            "its index or constraint 'one' needs 'mine_v1_'",
        ),
        (", Text))", ", Text), PrimaryKeyConstraint('word', name='pk'))", "its index or constraint 'pk' needs"),
        (", Text))", "))", "its tables cannot be made: .in table 'mine_v1_kept', column 'word'"),
        (", Text))", ", Text, ForeignKey('theirs.id')))", "its tables cannot be made: .* table 'theirs'"),
        ("frozenset", "None and frozenset", "its topics are None; write a set of texts"),
        ('"conversation.closed"', "7", "its topics are frozenset..7..; write a set of texts"),
        ("    def fold", "    tables = []\n\n    def fold", "its tables are .*; use a MetaData of SQLAlchemy"),
        ("class Mine", "raise SystemExit\n\nclass Mine", "cannot be loaded .SystemExit"),
        ("    def fold", "    def __init__(self): raise SystemExit\n\n    def fold", "cannot be loaded .SystemExit"),
        ("    def fold", "    async def fold", "its fold is async or a generator"),
        ("        pass", "        yield", "its fold is async or a generator"),
        ("    def fold(self, events, connection):\n        pass", "    fold = 3", "its fold is 3; write def fold"),
        ("events, connection", "events", "its fold is called with .events, connection., and takes .events."),
        ("    def fold", "    def __init__(self, x): pass\n\n    def fold", "cannot be loaded .TypeError"),
    ],
)
def test_a_slip_is_told_by_its_name_before_anything_runs(tmp_path, right, wrong, told):
    assert right in SOUND
    (tmp_path / "mine.py").write_text(SOUND.replace(right, wrong))

    with pytest.raises(ConfigurationError, match=told):
        ServiceSupervisor(Settings(projections=(str(tmp_path),)))


@pytest.mark.parametrize(
    "fold",
    [
        "    def fold(self, *everything): pass",
        "    @staticmethod\n    def fold(events, connection, more=None): pass",
        "    fold = print",
    ],
)
def test_whatever_can_be_called_with_events_and_a_connection_is_a_fold(tmp_path, fold):
    (tmp_path / "mine.py").write_text(SOUND.replace("    def fold(self, events, connection):\n        pass", fold))

    assert names_at(str(tmp_path)) == [*names_at(), "mine"]


def test_what_each_version_has_for_itself_is_sound(tmp_path):
    columns = """, Enum("a", name="kind", native_enum=False), index=True, unique=True),
        Column("id", BigInteger, primary_key=True), Column("number", Integer, Identity()),
        Index("mine_v1_by_number", "number"), CheckConstraint("number > 0", name="positive"),
        UniqueConstraint("word", "number", name="one_in_mine_v1_kept"))
    @event.listens_for(kept, "after_create")
    def look(table, connection, **_):
        connection.execute(text("SELECT 1")).scalar_one()
"""
    (tmp_path / "mine.py").write_text(SOUND.replace(", Text))", columns))

    assert names_at(str(tmp_path)) == [*names_at(), "mine"]


def test_those_that_come_along_are_sound():
    for projection in built_in_projections():
        assert checked(projection, "here") is projection


def test_a_base_class_in_the_folder_is_no_projection(tmp_path):
    base = SOUND.replace("class Mine", "class _Base").replace('name = "mine"', 'name = "base"')
    (tmp_path / "mine.py").write_text(base + SOUND)

    assert names_at(str(tmp_path)) == [*names_at(), "mine"]


def test_a_service_without_a_projector_needs_none_of_them():
    ServiceSupervisor(Settings(projections=("nowhere:Mine",), projector=False))


def test_a_folder_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(ConfigurationError, match=f"there is no such folder in {Path.cwd()}"):
        projections(Settings(projections=("reports",)))
