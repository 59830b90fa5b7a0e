"""How many events are folded at once."""

FIRST = 16
"""Events: even a fold that takes a tenth of a second for each of them moves in the first seconds."""

LONGEST = 1.0
"""Seconds that a page should take at most: a position that moves every second shows how far a build is."""


class PageSize:
    """As many events as there may be, fewer when they take long, and ever fewer when one of them fails."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = min(FIRST, most)

    def done(self, count: int, seconds: float) -> None:
        """A page of ``count`` events took ``seconds``. One that was not full says nothing about larger ones."""
        if seconds > LONGEST:
            self.limit = max(1, int(count * LONGEST / seconds))
        elif count >= self.limit and seconds < LONGEST / 2:
            self.limit = min(2 * self.limit, self._most)

    def failed(self) -> None:
        """An event of the page is at fault: a page of half the size may be without it."""
        self.limit = max(self.limit // 2, 1)
