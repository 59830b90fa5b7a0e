"""Reading fields of JSON bodies that somebody else wrote."""

from typing import Any

Body = dict[str, Any]
"""A parsed JSON object."""


class WrongFieldError(Exception):
    """A field is not what the format says.

    ``problem`` reads on after the path of the field ("must be a string, not a list"); the path is put
    together while the error climbs out of the nested readers, so that reading what is right costs nothing
    for it.
    """

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path

    def within(self, *outer: str | int) -> "WrongFieldError":
        """The same error, seen from further out."""
        return WrongFieldError(self.problem, *outer, *self.path)

    @property
    def param(self) -> str:
        """The path with dots, as OpenAI's SDKs show it (``messages.0.content``)."""
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"{self.param or 'The body'} {self.problem}."


_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
}


def wrong(expected: str, value: object, *path: str | int) -> WrongFieldError:
    """The error for a ``value`` that is not the ``expected`` ("a string")."""
    return WrongFieldError(f"must be {expected}, not {_KINDS.get(type(value), 'an object')}", *path)


def missing(expected: str, *path: str | int) -> WrongFieldError:
    """The error for a field that has to be there."""
    return WrongFieldError(f"is missing: it must be {expected}", *path)


def an_object(value: object, *path: str | int) -> Body:
    """``value`` if it is an object."""
    if isinstance(value, dict):
        return value
    raise wrong("an object", value, *path)


def optional_string(body: Body, name: str) -> str | None:
    """The field, ``None`` if it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise wrong("a string", value, name)


def required_string(body: Body, name: str) -> str:
    """The field, which has to be there; it may be empty."""
    value = body.get(name)
    if isinstance(value, str):
        return value
    raise missing("a string", name) if value is None else wrong("a string", value, name)


def optional_integer(body: Body, name: str) -> int | None:
    """The field, ``None`` if it is absent or null."""
    value = body.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise wrong("an integer", value, name)


def optional_number(body: Body, name: str) -> float | None:
    """The field, ``None`` if it is absent or null; whole numbers stay whole."""
    value = body.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise wrong("a number", value, name)


def optional_boolean(body: Body, name: str) -> bool:
    """The field, ``False`` if it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise wrong("a boolean", value, name)


def optional_object(body: Body, name: str) -> Body | None:
    """The field, ``None`` if it is absent or null."""
    value = body.get(name)
    return None if value is None else an_object(value, name)


def optional_list(body: Body, name: str) -> list[Any] | None:
    """The field, ``None`` if it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, list):
        return value
    raise wrong("a list", value, name)


def unknown_fields(body: Body, known: frozenset[str]) -> Body:
    """What else the body holds, nulls left out."""
    return {name: value for name, value in body.items() if name not in known and value is not None}
