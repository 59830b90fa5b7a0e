"""Requests of Gemini's ``generateContent``, written for Google and read into the domain.

Format: https://ai.google.dev/api/generate-content; the model is in the address. What was read comes out the same, but
for nulls. Fields inside ``generationConfig`` and ``toolConfig`` that Send2LLM does not know are extras under their
path, such as ``generationConfig.mediaResolution``.
"""

from collections.abc import Sequence

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import NO_EXTRAS, JsonObject, Message
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_object,
    unknown_fields,
)
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_fields
from send2llm.infrastructure.formats.gemini.generation_config import PATH, read_config, write_config
from send2llm.infrastructure.formats.gemini.reading_messages import read_messages
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.tools import read_calling, read_tools, write_calling, write_tools
from send2llm.infrastructure.formats.gemini.writing_messages import write_messages

_TOOLS_PATH = "toolConfig."
_KNOWN = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})


def write_request(messages: Sequence[Message], parameters: Parameters, target: Target) -> Body:
    """The body for the model of ``target``; raises ``RequestRejected`` for what Gemini has no word for."""
    refuse_foreign_fields(parameters, FORMAT)
    if parameters.parallel_tool_calls is False:
        raise cannot_say("parallel_tool_calls", FORMAT)
    extras = parameters.extras if parameters.format == FORMAT else NO_EXTRAS
    body: Body = {name: value for name, value in extras.items() if not name.startswith((PATH, _TOOLS_PATH))}
    body |= write_messages(messages, target)
    tools = write_tools(parameters)
    if tools:
        body["tools"] = tools
    tool_config = _below(_TOOLS_PATH, extras)
    calling = write_calling(parameters)
    if calling is not None:
        tool_config["functionCallingConfig"] = calling
    if tool_config:
        body["toolConfig"] = tool_config
    config = write_config(parameters, _below(PATH, extras), target)
    if config:
        body["generationConfig"] = config
    return body


def _below(path: str, extras: JsonObject) -> Body:
    return {name.removeprefix(path): value for name, value in extras.items() if name.startswith(path)}


def read_request(body: object) -> tuple[list[Message], Parameters]:
    """Read a parsed body; raises ``InvalidRequest`` with the path of the field at fault."""
    try:
        body = an_object(body)
        messages = read_messages(body)
        config, further = _config(body)
        extras = unknown_fields(body, _KNOWN) | further
        tool_config = optional_object(body, "toolConfig") or {}
        calling = optional_object(tool_config, "functionCallingConfig")
        choice, rest = read_calling(calling) if calling is not None else (None, {})
        if rest:
            extras[_TOOLS_PATH + "functionCallingConfig"] = rest
        others = unknown_fields(tool_config, frozenset({"functionCallingConfig"}))
        extras |= {_TOOLS_PATH + name: value for name, value in others.items()}
        tools = read_tools(body)
    except WrongFieldError as error:
        raise InvalidRequest(str(error), param=error.param or None) from None
    return messages, Parameters(tools=tools, tool_choice=choice, format=FORMAT, extras=extras or NO_EXTRAS, **config)


def _config(body: Body) -> tuple[Body, Body]:
    try:
        return read_config(optional_object(body, "generationConfig") or {})
    except WrongFieldError as error:
        raise error.within("generationConfig") from None
