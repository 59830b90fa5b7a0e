"""A page that shows something else than what is said fails, and only that."""

from pathlib import Path

import pytest
from transcripts import Transcript, steps

ONE, OTHER = "01a21e4f-ae71-77b5-86a9-cd89d6c5366d", "01a21e4f-b92a-77a4-858c-31791920cd85"


@pytest.fixture
def transcript() -> Transcript:
    return Transcript(Path(), {})


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("cost  $0.5", "cost    $0.5   "),
        ("at 2026-11-27 12:00:00 in 0.1 s", "at 2027-01-01 23:59:59 in 12.5 s"),
        ("18 events under 2 seals", "21 events under 3 seals"),
        ("18 events, 18 events, position 18", "21 events, 21 events, position 22"),
        ("   2  18 - 18    1       2026-11-27 18:41:24", "   3  7 - 18    12      2026-11-27 18:41:24"),
        ("       2 2026-11-27 18:41:08 said", "      12 2026-11-27 18:41:08 said"),
        ("one\n...\ntwo", "one\ntwo"),
        ("...\ntwo\n...", "zero\none\ntwo\nthree"),
        ("model=small ...", "model=small process=7"),
        (f"{ONE} and {OTHER}, {ONE}", f"{OTHER} and {ONE}, {OTHER}"),
        ("", ""),
    ],
)
def test_what_differs_from_run_to_run_is_compared_by_its_kind(transcript: Transcript, shown: str, said: str) -> None:
    transcript.compare(shown, said, "command")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("cost  $0.5", "cost  $0.6"),
        ("3 calls", "4 calls"),
        ("3 calls in 18 events\nintact: 18 events", "3 calls in 19 events\nintact: 18 events"),
        ("18 events, then 19 events", "19 events, then 19 events"),
        ("position 8, up to 9", "position 9, up to 8"),
        ("9 events in 2 streams", "8 events in 2 streams"),
        ("0 are not sealed yet", "1 are not sealed yet"),
        ("one", "one\ntwo"),
        ("one\ntwo", "one"),
        ("in 0.1 s", "in a while"),
        ("at 2026-11-27", "at 7"),
        ("...\ntwo", "zero\none"),
        (f"{ONE} and {ONE}", f"{OTHER} and {ONE}"),
        ("", "Error: no"),
    ],
)
def test_what_is_another_thing_is_told(transcript: Transcript, shown: str, said: str) -> None:
    with pytest.raises(AssertionError):
        transcript.compare(shown, said, "command")


def test_an_id_stays_what_it_was(transcript: Transcript) -> None:
    transcript.compare(ONE, OTHER, "first")
    with pytest.raises(AssertionError, match="stands for"):
        transcript.compare(ONE, ONE, "second")


def test_a_number_stays_what_it_was_and_what_comes_after_is_expected_after_it(transcript: Transcript) -> None:
    assert transcript._matches("18 events", "18 events")
    assert not transcript._matches("18 events", "19 events")
    transcript.compare("18 events", "20 events", "first")
    assert transcript._matches("18 events and 19 events", "20 events and 21 events")
    assert not transcript._matches("19 events", "19 events")
    with pytest.raises(AssertionError, match="stands for"):
        transcript.compare("18 events", "18 events", "second")


def test_a_block_has_commands_and_what_they_say() -> None:
    found = [(step.command, step.shown) for step in steps("$ one\na\nb\n$ two \\\n  three\nc\n")]
    assert found == [("one", "a\nb"), ("two \\\n  three", "c")]
