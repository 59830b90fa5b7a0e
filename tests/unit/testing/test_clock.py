"""Time, ids and chance that tests decide on."""

from datetime import timedelta

from send2llm.testing.clock import START, FakeClock, FixedRandomness, SequentialIdentifiers


async def test_sleeping_takes_no_time_but_passes_it() -> None:
    clock = FakeClock()

    await clock.sleep(90)
    clock.advance(0.5)

    assert clock.now() == START + timedelta(seconds=90.5)
    assert clock.monotonic() == 90.5
    assert clock.slept == [90]


def test_identifiers_count_and_sort() -> None:
    identifiers = SequentialIdentifiers()
    made = [identifiers.new() for _ in range(300)]

    assert made == sorted(made)
    assert len(set(made)) == 300
    assert made[0].version == 7


def test_chance_repeats_itself() -> None:
    chance = FixedRandomness([0.1, 0.9])

    assert [chance.random() for _ in range(3)] == [0.1, 0.9, 0.1]
