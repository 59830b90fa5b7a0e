"""The calls of the event store, as replays read them."""

from collections.abc import Iterator

import pytest
from stored_calls import KEYS, Asking

from send2llm.application.replay.calls import Call, Selection
from send2llm.infrastructure.analysis.stored_calls import StoredCalls
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo


def read(database: ConnectionInfo, keys: TextKeys | None, *, requests: bool, batch: int = 50_000) -> list[Call]:
    """All calls, read twice."""

    def twice() -> Iterator[list[Call]]:
        log = StoredLog(database, keys)
        with StoredCalls(log, requests=requests, batch=batch) as calls:
            log.close()
            yield from (list(calls.read(Selection())) for _ in range(2))
            assert calls.count == 4

    first, second = twice()
    assert first == second
    return first


@pytest.fixture
def asked(ask: Asking) -> None:
    gone = ask("slow", "written off")
    for question, end in (("a", "received"), ("b", "received"), ("a", "failed"), ("open", "")):
        ask(question, end)
    ask.answer(gone)


@pytest.mark.parametrize("batch", [1, 3, 50_000])
def test_every_call_that_has_ended_is_there_once(migrated: ConnectionInfo, asked: None, batch: int) -> None:
    calls = read(migrated, None, requests=False, batch=batch)
    assert sorted(call.status for call in calls) == ["failed", "received", "received", "received"]
    assert {call.usage is None for call in calls if call.status == "received"} == {False}


def test_only_what_was_asked_needs_texts(migrated: ConnectionInfo, asked: None) -> None:
    """Without keys and without texts all is the same, but for the digests of the requests."""
    without, whole = read(migrated, None, requests=False), read(migrated, KEYS, requests=True)
    assert {call.digest for call in without} == {""}
    assert len({call.digest for call in whole}) == 3

    def order(call: Call) -> str:
        return f"{call.ended_at} {call.status}"

    assert sorted((call._replace(digest="") for call in whole), key=order) == sorted(without, key=order)
