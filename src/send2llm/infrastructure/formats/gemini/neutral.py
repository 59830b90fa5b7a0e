"""Objects in OpenAI's shape inside of parameters, which nobody has looked at yet."""

from collections.abc import Mapping

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import NO_EXTRAS, JsonObject


def object_in(body: JsonObject, name: str, path: str) -> JsonObject:
    """The object ``name`` in the ``body`` at ``path``, empty if it is not there; raises ``RequestRejected``."""
    value = body.get(name)
    return NO_EXTRAS if value is None else an_object_of(value, f"{path}.{name}")


def an_object_of(value: object, path: str) -> JsonObject:
    """``value`` if it is an object; raises ``RequestRejected`` that names its ``path``."""
    if isinstance(value, Mapping):
        return value
    raise RequestRejected(f"{path} must be an object.")
