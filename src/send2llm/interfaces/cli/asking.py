"""What is asked of a model, in the shape of the service's own API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Content = str | list[dict[str, Any]]
"""What a user says: text, or content parts in OpenAI's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Which model answers (empty: the first that the service offers), and how.

    What is ``None`` is left to the service and the provider.
    """

    model: str = ""
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None

    def body(self, content: Content, *, first: bool = True, system: Content | None = None) -> Mapping[str, Any]:
        """The body of a request that says ``content``.

        The system message, ``system`` or else the common one, goes before the ``first`` one only.
        """
        system = system or self.system
        body: dict[str, Any] = {"model": self.model}
        if first and system is not None:
            body["messages"] = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        else:
            body["content"] = content
        chosen = {"max_output_tokens": self.max_output_tokens, "temperature": self.temperature}
        return body | {name: value for name, value in chosen.items() if value is not None}
