"""How fast a projection goes."""

import time
from collections.abc import Callable


class Pace:
    """Events a second, since the last rest."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._count = 0
        self._since = monotonic()

    def rest(self) -> None:
        """Begin again from here."""
        self._count = 0
        self._since = self._monotonic()

    def after(self, count: int) -> float:
        """The rate when ``count`` more events are done."""
        self._count += count
        return self._count / max(self._monotonic() - self._since, 1e-6)
