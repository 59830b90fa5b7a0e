"""Whatever is done to a sealed log, verification finds it and names the place."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.application.log_verification import LogVerification, verify_log
from send2llm.domain.log_seals import RawEvent, Seal
from send2llm.infrastructure.log_seals.sealing import seal_events
from send2llm.infrastructure.log_seals.signing import SealingKey, is_signed

CHAIN = UUID(int=7)
KEY = SealingKey.generate()
NOW = datetime(2026, 11, 27, tzinfo=UTC)
EVENTS = [RawEvent(3 * n, f"conversation-{n % 4}", n, "conversation.message_added", b"{%d}" % n) for n in range(1, 31)]


def sealed(events: Sequence[RawEvent], size: int = 7, key: SealingKey = KEY) -> list[Seal]:
    seals: list[Seal] = []
    for start in range(0, len(events), size):
        seals.append(seal_events(events[start : start + size], seals[-1] if seals else None, CHAIN, key, NOW))
    return seals


SEALS = sealed(EVENTS)


def found(events: Sequence[RawEvent], seals: Sequence[Seal] = SEALS, **options: object) -> LogVerification:
    return verify_log(events, seals, is_signed, **options)  # type: ignore[arg-type] # by name


def told_in_state(event: RawEvent) -> datetime | None:
    """Events of these tests say with a number after how many minutes they happened."""
    return NOW + timedelta(minutes=int(event.state)) if event.state.lstrip(b"-").isdigit() else None


def test_a_log_as_it_was_sealed() -> None:
    assert found(EVENTS, trusted=[KEY.public]) == LogVerification(5, 30, 0, 90, [KEY.public.hex()])


def test_events_after_the_last_seal_are_counted() -> None:
    verification = found([*EVENTS, RawEvent(91, "s", 1, "t", b"")])

    assert (verification.fault, verification.unsealed) == ("", 1)


def test_an_empty_log_is_intact() -> None:
    assert found([], []).fault == ""


@pytest.mark.parametrize("options", [{}, {"trusted": [KEY.public]}])
def test_a_log_of_which_nothing_is_sealed_was_not_verified(options: dict[str, object]) -> None:
    verification = found(EVENTS, [], **options)

    assert "Nothing is sealed" in verification.fault
    assert (verification.position, verification.seal, verification.unsealed) == (3, None, 30)


@pytest.mark.parametrize(("minutes", "is_found"), [(60, False), (61, True)])
def test_what_was_not_sealed_though_there_was_time_is_found(minutes: int, is_found: bool) -> None:
    """As when the last seals were removed, so that what they sealed can be changed."""
    tail = [RawEvent(91 + n, "s", n, "t", str(at).encode()) for n, at in enumerate([0, minutes])]

    verification = found([*EVENTS, *tail], time_of=told_in_state)

    assert ("not sealed" in verification.fault) == is_found
    assert verification.position == (91 if is_found else None)
    assert (verification.events, verification.unsealed) == (30, 2)


@pytest.mark.parametrize(
    ("tail", "now", "position"),
    [
        (["0", "60"], None, None),
        (["0", "61"], None, 91),
        (["61", "0"], None, 91),
        (["0", "90", "0"], None, 91),
        (["0", "?"], None, 92),
        (["?", "0"], None, 91),
        (["-60", "-1"], None, None),
        (["-61", "-2"], None, 91),
        (["0"], 60, None),
        (["0"], 61, 91),
        (["62", "62"], 1, 91),
        (["999999"], None, None),
    ],
    ids=str,
)
def test_what_is_not_sealed_cannot_hide_behind_the_times_that_it_tells(
    tail: list[str], now: int | None, position: int | None
) -> None:
    """Whoever removed the last seals can write any times; the last seal that is left was made at 0, and that is signed.

    An event may be late by what clocks differ. The last case is what an export looks like whose log was quiet for long.
    """
    events = [*EVENTS, *(RawEvent(91 + n, "s", n, "t", at.encode()) for n, at in enumerate(tail))]

    verification = found(
        events, time_of=told_in_state, now=None if now is None else NOW + timedelta(minutes=now), kept=SEALS[-1:]
    )

    assert (verification.fault != "", verification.position) == (position is not None, position)
    assert (verification.events, verification.unsealed, verification.last_position) == (30, len(tail), 90)


def test_seals_that_were_removed_are_missed_by_whoever_kept_the_last() -> None:
    verification = found(EVENTS, SEALS[:-1], time_of=told_in_state, kept=SEALS[-1:])

    assert verification.fault == "Seal 5, which was kept elsewhere, is missing: the log was cut off."


def test_seals_that_were_made_long_after_are_counted() -> None:
    """As when seals were removed, and the service sealed what it found then."""
    old = [event._replace(state=b"%d" % (minutes - 61)) for minutes, event in enumerate(EVENTS)]

    verification = found(old, sealed(old), time_of=told_in_state)

    assert (verification.fault, verification.seals, verification.late_seals) == ("", 5, 1)


@pytest.mark.parametrize("position", [0, -5])
def test_an_event_before_the_first_position_is_found_sealed_or_not(position: int) -> None:
    hidden = RawEvent(position, "conversation-1", 5, "conversation.message_added", b"{}")

    for verification in (found([hidden, *EVENTS]), found([hidden], [])):
        assert "before position 1" in verification.fault
        assert verification.position == position


def test_two_events_at_one_position_are_found() -> None:
    verification = found([*EVENTS, RawEvent(91, "s", 1, "t", b""), RawEvent(91, "s", 2, "t", b"")])

    assert ("one position" in verification.fault, verification.position) == (True, 91)


@given(st.integers(0, 29), st.sampled_from(["position", "stream", "version", "topic", "state"]))
def test_a_change_is_found_at_its_position(place: int, field: str) -> None:
    old = EVENTS[place]
    changed = {"position": old.position + 1, "stream": "x", "version": 99, "topic": "x", "state": b"{}"}[field]
    events = [*EVENTS[:place], old._replace(**{field: changed}), *EVENTS[place + 1 :]]

    verification = found(events)

    assert "changed, inserted or removed" in verification.fault
    assert verification.position == events[place].position


@given(st.integers(0, 28))
def test_a_removed_event_is_found(place: int) -> None:
    verification = found([*EVENTS[:place], *EVENTS[place + 1 :]])

    assert (verification.fault != "", verification.position) == (True, EVENTS[place + 1].position)
    assert verification.after == (EVENTS[place - 1].position if place else 0)


@given(st.integers(0, 29))
def test_an_inserted_event_is_found(place: int) -> None:
    inserted = RawEvent(EVENTS[place].position - 1, "conversation-1", 5, "conversation.closed", b"{}")

    assert found([*EVENTS[:place], inserted, *EVENTS[place:]]).position == inserted.position


@given(st.integers(0, 28))
def test_two_events_in_another_order_are_found(place: int) -> None:
    one, other = EVENTS[place], EVENTS[place + 1]
    exchanged = [other._replace(position=one.position), one._replace(position=other.position)]

    assert found([*EVENTS[:place], *exchanged, *EVENTS[place + 2 :]]).position == one.position


@given(st.integers(0, 29))
def test_a_tail_that_was_cut_off_is_found(length: int) -> None:
    verification = found(EVENTS[:length])

    assert "cut off" in verification.fault
    assert verification.position == (EVENTS[length - 1].position if length else 0) + 1


def test_a_tail_that_was_cut_off_with_its_seals_is_found_by_a_seal_that_was_kept() -> None:
    shorter, seals = EVENTS[:14], SEALS[:2]

    assert found(shorter, seals).fault == ""
    verification = found(shorter, seals, kept=[SEALS[-1]])
    assert (verification.fault, verification.position) == (
        "Seal 5, which was kept elsewhere, is missing: the log was cut off.",
        EVENTS[13].position + 1,
    )


def test_a_log_that_was_written_anew_and_sealed_with_another_key_is_found() -> None:
    forger = SealingKey.generate()
    forged = [event._replace(state=b"{}") for event in EVENTS]
    seals = sealed(forged, key=forger)

    assert "not trusted" in found(forged, seals, trusted=[KEY.public]).fault
    assert "not the one that was kept" in found(forged, seals, kept=[SEALS[2]]).fault
    assert "another log" in found(forged, seals, kept=[replace(SEALS[2], chain=UUID(int=8))]).fault


@pytest.mark.parametrize("number", [-7, 0, 6])
def test_a_seal_of_a_number_that_never_was_is_missing(number: int) -> None:
    assert "is missing" in found(EVENTS, kept=[replace(SEALS[0], number=number)]).fault


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signature": bytes(64)}, "signature of seal 3 is wrong"),
        ({"events": 6}, "signature of seal 3 is wrong"),
        ({"number": 9}, "Seal 3 is missing"),
        ({"previous": bytes(32)}, "does not go on"),
        ({"links": bytes(56)}, "links beside seal 3"),
    ],
)
def test_a_seal_that_was_changed_is_found(change: dict[str, object], words: str) -> None:
    seals = [*SEALS[:2], replace(SEALS[2], **change), *SEALS[3:]]  # type: ignore[arg-type] # by name

    verification = found(EVENTS, seals)

    assert words in verification.fault
    assert verification.seal in (3, 9)


def test_a_seal_that_was_taken_out_is_found() -> None:
    assert "Seal 2 is missing" in found(EVENTS, [SEALS[0], *SEALS[2:]]).fault


def test_without_the_short_links_a_change_is_found_in_its_seal() -> None:
    seals = [replace(seal, links=b"") for seal in SEALS]
    changed = [*EVENTS[:10], EVENTS[10]._replace(state=b"{}"), *EVENTS[11:]]

    verification = found(changed, seals)

    assert verification.fault == "The events are not those that were sealed."
    assert (verification.after, verification.position, verification.events) == (21, 42, 7)


def with_other_links(number: int, *places: int) -> list[Seal]:
    """The seals, with other links for some events of one of them: anybody can do that, for links are not signed."""
    links = bytearray(SEALS[number - 1].links)
    for place in places:
        links[8 * place] ^= 1
    return [*SEALS[: number - 1], replace(SEALS[number - 1], links=bytes(links)), *SEALS[number:]]


@pytest.mark.parametrize("places", [(0,), (1,), (0, 1)])
def test_links_that_were_changed_alone_are_told_from_events(places: tuple[int, ...]) -> None:
    verification = found(EVENTS, with_other_links(5, *places))

    assert "links beside seal 5" in verification.fault
    assert "all sealed events and all signatures are right" in verification.fault
    assert (verification.seal, verification.position, verification.events) == (5, None, 30)


def test_links_that_were_changed_do_not_hide_where_an_event_was() -> None:
    events = [*EVENTS[:12], EVENTS[12]._replace(state=b"{}"), *EVENTS[13:]]

    verification = found(events, with_other_links(2, 1))

    assert (verification.fault, verification.position) == ("An event was changed, inserted or removed.", 39)
    late = found([*EVENTS[:20], EVENTS[20]._replace(state=b"{}"), *EVENTS[21:]], with_other_links(1, 0))
    assert (late.fault, late.seal, late.position) == ("An event was changed, inserted or removed.", 3, 63)
