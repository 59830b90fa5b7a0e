"""Which answers are asked for as server-sent events."""

import pytest

from send2llm.interfaces.http.accepting import wants_event_stream


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "TEXT/Event-Stream",
        "application/json, text/event-stream",
        "application/json;q=0.5,text/event-stream ; q=0.1",
        "text/event-stream;charset=utf-8;q=0.001",
    ],
)
def test_who_names_them_gets_them(accept: str) -> None:
    assert wants_event_stream(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "application/json",
        "application/json, text/event-stream;q=0",
        "text/event-stream; Q=0.000",
        "x-text/event-stream",
        "text/event-streams",
    ],
)
def test_everybody_else_gets_json(accept: str) -> None:
    assert not wants_event_stream(accept)
