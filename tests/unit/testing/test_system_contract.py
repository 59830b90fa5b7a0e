"""Time, ids and chance: the machine's, and those that tests decide on, keep the same promises."""

from datetime import UTC, timedelta
from itertools import pairwise

import pytest

from send2llm.infrastructure.system import SystemClock, SystemRandomness, TimeOrderedIdentifiers
from send2llm.testing.clock import FakeClock, FixedRandomness, SequentialIdentifiers


@pytest.mark.parametrize("make", [SystemClock, FakeClock])
async def test_a_clock(make) -> None:
    clock = make()
    now, monotonic = clock.now(), clock.monotonic()
    await clock.sleep(0.002)
    assert clock.now().tzinfo is UTC
    assert clock.now() - now >= timedelta(seconds=0.001)  # clocks are read in steps
    assert clock.monotonic() - monotonic >= 0.001


@pytest.mark.parametrize("make", [TimeOrderedIdentifiers, SequentialIdentifiers])
def test_identifiers(make) -> None:
    identifiers = make()
    made = [identifiers.new() for _ in range(1000)]
    assert {identifier.version for identifier in made} == {7}
    assert all(earlier < later for earlier, later in pairwise(made))


@pytest.mark.parametrize("make", [SystemRandomness, FixedRandomness])
def test_chance(make) -> None:
    chance = make()
    assert all(0 <= chance.random() < 1 for _ in range(1000))
