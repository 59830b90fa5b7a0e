"""A log with calls in it."""

import pytest
from stored_calls import Asking

from send2llm.testing.event_writer import EventWriter


@pytest.fixture
def ask(writer: EventWriter) -> Asking:
    return Asking(writer)
