"""A log with calls in it, with texts in plain and encrypted."""

from collections.abc import Iterator

import pytest
from stored_calls import KEYS, Asking

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter


@pytest.fixture(params=["in plain", "encrypted"])
def writer(request: pytest.FixtureRequest, migrated: ConnectionInfo) -> Iterator[EventWriter]:
    with EventWriter(migrated, KEYS if request.param == "encrypted" else None) as writer:
        yield writer


@pytest.fixture
def ask(writer: EventWriter) -> Asking:
    return Asking(writer)
