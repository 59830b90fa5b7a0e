"""Whether a stream without an end mark is whole."""

from collections.abc import Iterable

from send2llm.domain.completion import Delta


class OpenAnswers:
    """Follows the answers of one stream: those that have begun, and those whose finish reason has come."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._finished: set[int] = set()

    @property
    def all_finished(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return bool(self._finished) and not self._open

    def follow(self, deltas: Iterable[Delta]) -> None:
        """Take the next pieces."""
        for delta in deltas:
            if delta.finish_reason is not None:
                self._finished.add(delta.index)
                self._open.discard(delta.index)
            elif delta.index not in self._finished and delta.usage is None:
                self._open.add(delta.index)
