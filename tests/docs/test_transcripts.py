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


def test_a_block_has_commands_and_what_they_say() -> None:
    found = [(step.command, step.shown) for step in steps("$ one\na\nb\n$ two \\\n  three\nc\n")]
    assert found == [("one", "a\nb"), ("two \\\n  three", "c")]
