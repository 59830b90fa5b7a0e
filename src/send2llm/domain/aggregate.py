"""What every aggregate does with its events: fold them, record new ones, and hand these over to be stored."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Aggregate(ABC, Generic[Event]):
    """A state that is folded from the events of one stream.

    Commands check the state and record events; ``collect`` hands the new ones over to be stored.
    """

    def __init__(self) -> None:
        self.version = 0
        """How many events the state holds."""
        self._new: list[Event] = []

    def follow(self, events: Iterable[Event]) -> None:
        """Take in stored events that come after the ones known."""
        for event in events:
            self.version += 1
            self._apply(event)

    def collect(self) -> tuple[int, Sequence[Event]]:
        """The version before the events that commands have recorded, and these events; they are new no longer."""
        new, self._new = self._new, []
        return self.version - len(new), new

    def _record(self, event: Event) -> None:
        self.follow((event,))
        self._new.append(event)

    @abstractmethod
    def _apply(self, event: Event) -> None:
        """Change the state as the event says, without asking whether it should have happened."""
