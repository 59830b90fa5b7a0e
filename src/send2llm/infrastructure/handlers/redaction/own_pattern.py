"""Patterns from the configuration, with a bound on their time."""

from collections.abc import Iterator

import regex

from send2llm.handlers import InvalidRequest
from send2llm.infrastructure.handlers.redaction.numbers import Span


class OwnPattern:
    """A regular expression that somebody wrote: one that takes too long refuses the request, and blocks nothing else.

    What cannot be searched may hold what has to be kept back, so it is not sent.
    """

    def __init__(self, name: str, pattern: str, seconds: float) -> None:
        """Raises ``ValueError`` for what is no pattern, or matches where nothing is."""
        try:
            self._pattern = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        if self._pattern.search(""):
            raise ValueError("matches an empty text, and so everywhere")
        self._name = name
        self._seconds = seconds

    def __call__(self, text: str) -> Iterator[Span]:
        """Where it matches."""
        try:
            for match in self._pattern.finditer(text, timeout=self._seconds):
                if match.end() > match.start():
                    yield match.span()
        except TimeoutError:
            raise InvalidRequest(
                f"The pattern {self._name} takes too long to look through a text of {len(text)} characters; send less "
                "text at once, or ask whoever runs this service to write the pattern more simply."
            ) from None
