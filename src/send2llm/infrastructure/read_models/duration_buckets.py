"""Durations, counted in fixed buckets, so that counts of any groups and times can be added up to tell a percentile.

The bounds are the preferred numbers R10 of ISO 3, ten to a decade, from 10 ms to 80,000 s: a percentile is told to
within a quarter of its value.
"""

from bisect import bisect_left
from collections.abc import Mapping

_R10 = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800)
_DECADES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)

BOUNDS: tuple[int, ...] = tuple(step * decade for decade in _DECADES for step in _R10)
"""Upper bounds in microseconds, which are parts of their buckets; what is longer than the last counts there."""


def microseconds(seconds: float) -> int:
    """Whole microseconds: sums of them are the same in whatever order."""
    return max(0, round(seconds * 1_000_000))


def bucket_of(duration: int) -> int:
    """The upper bound of the bucket of so many microseconds."""
    return BOUNDS[min(bisect_left(BOUNDS, duration), len(BOUNDS) - 1)]


def quantile(counts: Mapping[int, int], share: float, longest: int) -> int | None:
    """The duration that ``share`` of them do not exceed, in microseconds, as near as buckets tell; ``None`` of none.

    ``counts`` are by upper bound. Within a bucket durations are taken to lie evenly; none is beyond ``longest``.
    """
    wanted = share * sum(counts.values())
    below = 0
    for bound in sorted(counts):
        if counts[bound] and below + counts[bound] >= wanted:
            place = bisect_left(BOUNDS, bound)
            lower = BOUNDS[place - 1] if place else 0
            return min(longest, round(lower + (bound - lower) * (wanted - below) / counts[bound]))
        below += counts[bound]
    return None
