"""Seals as somebody kept them elsewhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from send2llm.domain.errors import InvalidRequest
from send2llm.domain.log_seals import RawEvent
from send2llm.infrastructure.log_seals.documents import read_seal, read_seals, write_seal
from send2llm.infrastructure.log_seals.sealing import seal_events
from send2llm.infrastructure.log_seals.signing import SealingKey, is_signed

SEAL = seal_events(
    [RawEvent(3, "s", 1, "t", b"{}")], None, UUID(int=7), SealingKey.generate(), datetime(2026, 11, 27, tzinfo=UTC)
)


def test_a_seal_that_was_kept_is_the_same() -> None:
    assert read_seal(write_seal(SEAL, links=True)) == SEAL
    (kept,) = read_seals({"data": [write_seal(SEAL)]})
    assert is_signed(kept.public_key, kept.signed, kept.signature)


def test_what_is_signed_and_kept_is_the_same_in_any_time_zone() -> None:
    """A database tells times in the zone of the session."""
    there = replace(SEAL, sealed_at=SEAL.sealed_at.astimezone(timezone(timedelta(hours=1))))
    assert is_signed(there.public_key, there.signed, there.signature)
    assert write_seal(there) == write_seal(SEAL)


def test_no_seals_at_all_are_nothing_to_compare_with() -> None:
    with pytest.raises(InvalidRequest, match="no seal in it"):
        read_seals({"data": []})


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": 0},
        {"number": True},
        {"number": 1e400},
        {"number": "1"},
        {"first_position": 0},
        {"events": 1.5},
        {"chain": 7},
        {"chain": "x"},
        {"sealed_at": None},
        {"sealed_at": "2026-11-27T00:00:00"},
        {"signature": "xyz"},
        {"signature": 7},
    ],
    ids=str,
)
def test_what_is_no_seal_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no seal"):
        read_seal(write_seal(SEAL) | change)


@pytest.mark.parametrize("document", [3, None, [], "x", {}, {"data": 3}, {"data": None}, {"data": [3]}], ids=str)
def test_what_holds_no_seals_is_refused(document: Any) -> None:
    with pytest.raises(InvalidRequest, match="no seal"):
        read_seals(document)
