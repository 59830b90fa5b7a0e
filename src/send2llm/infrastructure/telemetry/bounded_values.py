"""Labels that callers can influence, kept from growing without end.

Every new value of a label is a new set of series, for ever: in this process, in every scrape and in
Prometheus.
"""


class BoundedValues:
    """Lets the first ``limit`` distinct values through; all further ones share the name ``overflow``."""

    def __init__(self, limit: int, overflow: str) -> None:
        self._limit = limit
        self._overflow = overflow
        self._values: set[str] = set()

    def value(self, value: str) -> str:
        """The value itself, or ``overflow``."""
        if value in self._values:
            return value
        if len(self._values) < self._limit:
            self._values.add(value)
            return value
        return self._overflow
