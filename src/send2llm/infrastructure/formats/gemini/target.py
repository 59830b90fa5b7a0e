"""What a request is written for: Gemini's models differ in what they can be told."""

import re
from dataclasses import dataclass

_GENERATION = re.compile(r"(?:^|/)gemini-(\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """The ``model`` of a request; ``needs_file_type``: a file's type has to be named, as Vertex AI wants it."""

    model: str
    needs_file_type: bool = False

    @property
    def is_before_gemini_3(self) -> bool:
        """Whether it thinks by a budget of tokens instead of a level, and asks for no signatures of thoughts.

        A name without a number, such as ``gemini-flash-latest``, is taken for a new model.
        """
        return self._generation is not None and self._generation < 3

    @property
    def reads_urls(self) -> bool:
        """Whether it reads files at addresses on the web: "not supported" for Gemini 2.0 and older.

        https://ai.google.dev/gemini-api/docs/file-input-methods
        """
        return self._generation is None or not re.search(r"gemini-(1|2\.0)\b", self.model)

    @property
    def _generation(self) -> int | None:
        found = _GENERATION.search(self.model)
        return int(found.group(1)) if found else None
