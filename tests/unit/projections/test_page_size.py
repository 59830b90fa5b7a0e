"""Pages are as large as goes in a second, and small ones find the event that is at fault."""

import pytest
from hypothesis import given, strategies as st

from send2llm.infrastructure.projections.page_size import FIRST, LONGEST, PageSize


def test_a_quick_fold_soon_has_whole_pages() -> None:
    size = PageSize(1000)
    limits = []
    for _ in range(8):
        limits.append(size.limit)
        size.done(size.limit, 0.001)
    assert limits == [16, 32, 64, 128, 256, 512, 1000, 1000]


def test_there_are_never_more_events_than_there_may_be() -> None:
    assert PageSize(FIRST - 1).limit == FIRST - 1


@given(st.floats(min_value=0.0001, max_value=10), st.integers(min_value=1, max_value=2000))
def test_after_the_first_pages_none_takes_longer_than_a_second(seconds_an_event: float, most: int) -> None:
    size = PageSize(most)
    size.done(size.limit, size.limit * seconds_an_event)
    for _ in range(20):
        assert size.limit == 1 or size.limit * seconds_an_event <= LONGEST * 1.001  # what floats leave over
        assert 1 <= size.limit <= most
        size.done(size.limit, size.limit * seconds_an_event)


def test_a_page_that_is_not_full_says_nothing_about_larger_ones() -> None:
    size = PageSize(1000)
    for _ in range(10):
        size.done(3, 0.001)
    assert size.limit == FIRST


@pytest.mark.parametrize("most", [1, 2, 5, 1000])
def test_a_failure_leads_to_a_single_event(most: int) -> None:
    size = PageSize(most)
    for _ in range(10):
        size.failed()
    assert size.limit == 1
