"""Arguments of tool calls, for formats in which they are objects and not JSON text."""

from typing import Any

import orjson

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import ToolCallPart
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import FORMATS
from send2llm.infrastructure.formats.json_objects import json_object


def arguments_object(call: ToolCallPart, target: str) -> Body:
    """The arguments as an object; none at all are an empty one. Raises ``RequestRejected`` for anything else."""
    if not call.arguments.strip():
        return {}
    arguments = json_object(call.arguments)
    if arguments is not None:
        return arguments
    raise RequestRejected(
        f"The arguments of the tool call {call.id[:80]!r} are no JSON object, which {FORMATS.get(target, target)} "
        "insists on: correct them, or leave the call and its result out."
    )


def arguments_text(arguments: Any) -> str:
    """Arguments as the JSON text that they are in the domain."""
    return orjson.dumps(arguments).decode()
