"""The options of a handler, as the configuration has them."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from send2llm.domain.errors import ConfigurationError


class HandlerOptions(BaseModel):
    """Options with their types and defaults: a subclass lists them, ``read`` checks what was set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, handler: str, options: Mapping[str, Any]) -> Self:
        """The options of ``[handler_options.<handler>]``; raises ``ConfigurationError`` that names what is wrong."""
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            problems = "\n  ".join(_explained(problem, handler, cls.model_fields) for problem in error.errors())
            raise ConfigurationError(f"The options of the handler {handler} are not right:\n  {problems}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for who misspelt a name."""
    near = get_close_matches(name, sorted(known), 1, 0.5)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known)) or 'none'}."


def _explained(problem: Any, handler: str, known: Iterable[str]) -> str:
    where = ".".join(["handler_options", handler, *map(str, problem["loc"])])
    if problem["type"] == "extra_forbidden":
        hint = f" {nearest(str(problem['loc'][-1]), known)}" if len(problem["loc"]) == 1 else ""
        return f"{where} is no option.{hint}"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}."
