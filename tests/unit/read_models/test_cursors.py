"""Cursors say where a page ended, and nothing else."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.read_models.cursors import read_cursor, write_cursor


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_what_is_written_is_read(moment: datetime, row_id: UUID) -> None:
    cursor = write_cursor("updated_at", moment, row_id)
    assert read_cursor(cursor, "updated_at") == (moment, row_id)
    assert cursor.isascii()
    with pytest.raises(InvalidRequest):
        read_cursor(cursor, "started_at")


@given(st.text())
def test_nonsense_is_the_callers_mistake(nonsense: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(nonsense, "updated_at")
