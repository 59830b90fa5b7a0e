"""When a build tries to take its place, and how long one try may last.

Whoever reads a view holds it for as long as the transaction lasts, and whoever waits to move it makes all later readers
wait as well. So a try is short, and the next one comes later: at most a second of half a minute is lost to readers.
"""

import time

_FIRST_PATIENCE, _LONGEST_PATIENCE = 0.1, 1.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds


class SwapTries:
    """The tries of one build; they grow longer and rarer."""

    def __init__(self) -> None:
        self.patience = _FIRST_PATIENCE
        """Seconds for which the next try may wait for readers."""
        self._pause = _FIRST_PAUSE
        self._next = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._next

    def failed(self) -> None:
        """Somebody read the views for longer than that."""
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self.patience = min(2 * self.patience, _LONGEST_PATIENCE)
