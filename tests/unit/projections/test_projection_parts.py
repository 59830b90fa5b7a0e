"""The small parts that projections and their runner are made of."""

import json
from types import MappingProxyType

import psycopg
import pytest
from hypothesis import given, strategies as st
from sqlalchemy.exc import OperationalError, ProgrammingError

from send2llm.infrastructure.postgres.advisory_locks import advisory_key
from send2llm.infrastructure.projections.bulk import storable_json, storable_text
from send2llm.infrastructure.projections.failures import REASON_LENGTH, FoldRaised, is_passing, reason_of
from send2llm.infrastructure.projections.pace import Pace
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.projections import Projection, table_name


def test_table_names_carry_the_version() -> None:
    assert table_name("history", 2, "conversations") == "history_v2_conversations"
    with pytest.raises(ValueError, match="longer than 63 bytes"):
        table_name("history", 1, "a" * 60)


def test_the_history_fulfils_the_contract() -> None:
    projection: Projection = HistoryProjection()
    assert all(name.startswith("history_v1_") for name in projection.tables.tables)


def test_keys_of_locks_differ_by_kind_and_name() -> None:
    keys = {advisory_key(kind, name) for kind in ("process", "projection") for name in ("a", "b")}
    assert len(keys) == 4
    assert all(-(2**63) <= key < 2**63 for key in keys)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (psycopg.OperationalError("connection lost"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (ConnectionResetError(), True),
        (psycopg.errors.ProgramLimitExceeded(), False),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.DataError("no such text"), False),
        (KeyError("completion"), False),
        (ValueError(), False),
    ],
)
def test_what_passes_by_itself(error: Exception, passing: bool) -> None:
    assert is_passing(error) is passing


def test_sqlalchemys_wrapping_changes_nothing() -> None:
    assert is_passing(OperationalError("SELECT", {}, psycopg.errors.AdminShutdown()))
    assert not is_passing(ProgrammingError("SELECT", {}, psycopg.errors.UndefinedColumn()))


def test_a_reason_is_one_short_line_without_the_statement() -> None:
    wrapped = ProgrammingError(
        "SELECT 'secret'", {"prompt": "secret"}, psycopg.errors.UndefinedColumn("no column\nLINE 1")
    )
    assert reason_of(wrapped) == "UndefinedColumn: no column"
    assert len(reason_of(ValueError("x" * 10_000))) == REASON_LENGTH


def test_what_has_nothing_to_say_is_named() -> None:
    assert reason_of(ValueError()) == "ValueError"


def test_a_reason_is_the_first_line_that_says_anything() -> None:
    assert reason_of(ValueError("\n \n  no price\nfor it")) == "ValueError: no price"
    assert reason_of(ValueError("\n\n")) == "ValueError"


def test_an_error_that_cannot_be_told_is_named() -> None:
    class Untold(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert reason_of(Untold()) == "Untold: it cannot be told (SystemExit)"


def test_what_a_fold_raised_is_the_reason() -> None:
    raised = FoldRaised()
    raised.__cause__ = SystemExit(3)
    assert reason_of(raised) == "SystemExit: 3"
    assert not is_passing(raised)


def test_pace_counts_since_the_last_rest() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    now = 2.0
    assert pace.after(100) == 50
    now = 4.0
    assert pace.after(300) == 100
    pace.rest()
    now = 5.0
    assert pace.after(10) == 10


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_storable(text: str) -> None:
    stored = storable_text(text)
    assert "\x00" not in stored
    stored.encode()
    assert len(stored) == len(text)
    if "\x00" not in text and text.isascii():
        assert stored == text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_any_json_becomes_storable(value: object) -> None:
    stored = json.loads(storable_json(value))
    assert json.dumps(stored, ensure_ascii=False).encode()
    assert "\\u0000" not in json.dumps(stored)


def test_read_only_mappings_are_json_too() -> None:
    assert json.loads(storable_json(MappingProxyType({"a": MappingProxyType({"b": [1]})}))) == {"a": {"b": [1]}}
    with pytest.raises(TypeError):
        storable_json(object())
