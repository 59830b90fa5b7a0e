"""Upcasts: what an event of an earlier schema version means in the words of the next one.

Stored events never change. When the class of an event changes so that earlier data no longer fits, its schema
version goes up by one, and a function says how data of the version before becomes data of the new one.
Functions are chained, so each is written once and never touched again.
"""

from collections.abc import Callable
from typing import Any

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes the ``data`` of one schema version and returns that of the next; it may change what it is given."""


class Upcasts:
    """The upcasts of all topics."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], Upcast] = {}

    def register(self, topic: str, from_version: int, upcast: Upcast) -> None:
        """Say how ``data`` of ``from_version`` becomes that of the next version; ``ValueError`` if known."""
        if (topic, from_version) in self._steps:
            raise ValueError(f"There is an upcast of {topic} from version {from_version} already.")
        self._steps[topic, from_version] = upcast

    def missing(self, topic: str, version: int) -> list[int]:
        """The earlier versions of ``topic`` from which no step leads on to ``version``."""
        return [step for step in range(1, version) if (topic, step) not in self._steps]

    def apply(self, topic: str, data: dict[str, Any], stored_version: int, version: int) -> dict[str, Any]:
        """Bring ``data`` from ``stored_version`` to ``version``."""
        for step in range(stored_version, version):
            data = self._steps[topic, step](data)
        return data
