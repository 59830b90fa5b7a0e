r"""Texts with places for variables: ``{{name}}``. ``\{{`` stands for the two braces themselves."""

import re
from collections.abc import Iterator, Mapping

from send2llm.domain.errors import InvalidRequest

_PLACE = re.compile(r"\\\{\{|\{\{(?P<name>[^{}\n]*)\}\}|\{\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_ESCAPED = "\\{{"


def variables_in(text: str, param: str) -> Iterator[str]:
    """The names of the variables, in their order; raises ``InvalidRequest`` for braces that hold no name."""
    for place in _PLACE.finditer(text):
        if place[0] == _ESCAPED:
            continue
        name = (place["name"] or "").strip()
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{param}: {place[0][:100]!r} holds no name of a variable. Write {{{{name}}}}, with letters, digits "
                r"and underscores, or \{{ for the braces themselves.",
                param=param,
            )
        yield name


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the values in their places; what is in the values is never looked at."""
    return _PLACE.sub(lambda place: "{{" if place[0] == _ESCAPED else values[place["name"].strip()], text)
