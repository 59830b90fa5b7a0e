"""How a projection runner paces itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Sizes in events, times in seconds.

    ``page_size``: how many are folded at once, at most.
    ``poll``: how long a lost wake-up, a dead holder of the lease or a retry may go unnoticed.
    ``linger``: the least time from one look at the log to the next when there is no backlog. An event after a quiet
    moment is folded at once; in a steady stream of calls, ten transactions a second instead of fifty leave the
    processor to the calls.
    ``tidy``: how often to look for builds that nobody needs any more.
    """

    page_size: int = 1000
    poll: float = 1.0
    linger: float = 0.1
    shortest_backoff: float = 0.1
    longest_backoff: float = 5.0
    tidy: float = 600.0
