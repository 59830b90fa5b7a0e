"""Tools, and the choice among them, both ways.

Format: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools. In the domain a tool with a schema
of the caller's is in OpenAI's shape, with Anthropic's further fields in an object of its name; any other (those that
Anthropic runs, or has the schema of) is known to this format only.
"""

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject
from send2llm.infrastructure.formats.anthropic.names import FORMAT
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_boolean,
    optional_list,
    optional_object,
    optional_string,
    required_string,
    unknown_fields,
)
from send2llm.infrastructure.formats.foreign import FOREIGN_TOOL, cannot_say, tools_for

_TOOL_FIELDS = frozenset({"name", "description", "input_schema", "strict"})
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_WRITTEN_CHOICES = {ours: theirs for theirs, ours in _CHOICES.items()}


def read_tools(body: Body) -> tuple[JsonObject, ...]:
    """The ``tools`` of a request; raises ``WrongFieldError``."""
    tools = []
    for index, tool in enumerate(optional_list(body, "tools") or ()):
        try:
            tools.append(_read_tool(an_object(tool)))
        except WrongFieldError as error:
            raise error.within("tools", index) from None
    return tuple(tools)


def _read_tool(tool: Body) -> JsonObject:
    if (optional_string(tool, "type") or "custom") != "custom":
        return {"type": FOREIGN_TOOL, "format": FORMAT, "body": tool}
    function: Body = {"name": required_string(tool, "name")}
    description = optional_string(tool, "description")
    if description is not None:
        function["description"] = description
    schema = optional_object(tool, "input_schema")
    if schema is not None:
        function["parameters"] = schema
    if tool.get("strict") is not None:
        function["strict"] = optional_boolean(tool, "strict")
    further = unknown_fields(tool, _TOOL_FIELDS)
    return {"type": "function", "function": function} | ({FORMAT: further} if further else {})


def write_tools(parameters: Parameters) -> list[Body]:
    """The ``tools`` of a request; raises ``RequestRejected`` for one that only another format knows."""
    return [_write_tool(function, further) for function, further in tools_for(parameters, FORMAT)]


def _write_tool(function: JsonObject, further: JsonObject) -> Body:
    if not function:
        return dict(further)
    tool: Body = {"name": function.get("name"), "input_schema": function.get("parameters") or {"type": "object"}}
    for name in ("description", "strict"):
        if function.get(name) is not None:
            tool[name] = function[name]
    return tool | dict(further)


_CHOICE_FIELDS = frozenset({"type", "name", "disable_parallel_tool_use"})


def read_tool_choice(body: Body) -> tuple[str | JsonObject | None, bool | None]:
    """The choice, and whether several tools may be called at once; raises ``WrongFieldError``."""
    choice = optional_object(body, "tool_choice")
    if choice is None:
        return None, None
    try:
        kind = required_string(choice, "type")
        for further in choice.keys() - _CHOICE_FIELDS:
            raise WrongFieldError("is no field that is known here; leave it out", further)
        parallel = None
        if choice.get("disable_parallel_tool_use") is not None:
            parallel = not optional_boolean(choice, "disable_parallel_tool_use")
        if kind == "tool":
            return {"type": "function", "function": {"name": required_string(choice, "name")}}, parallel
        if kind not in _CHOICES:
            raise WrongFieldError(f"must be auto, any, tool or none, not {kind[:40]!r}", "type")
    except WrongFieldError as error:
        raise error.within("tool_choice") from None
    return _CHOICES[kind], parallel


def write_tool_choice(parameters: Parameters) -> Body | None:
    """The ``tool_choice`` of a request, ``None`` where the usual one says it."""
    choice, parallel = parameters.tool_choice, parameters.parallel_tool_calls
    if choice is None:
        if parallel is not False or not parameters.tools:
            return None
        choice = "auto"
    written = _write_choice(choice)
    if parallel is not None and written["type"] != "none":
        written["disable_parallel_tool_use"] = not parallel
    return written


def _write_choice(choice: str | JsonObject) -> Body:
    if isinstance(choice, str):
        if choice in _WRITTEN_CHOICES:
            return {"type": _WRITTEN_CHOICES[choice]}
        raise cannot_say(f"tool_choice ({choice[:40]})", FORMAT)
    function = choice.get("function")
    if choice.get("type", "function") != "function" or not isinstance(function, dict):
        raise cannot_say(f"tool_choice (of type {str(choice.get('type'))[:40]!r})", FORMAT)
    return {"type": "tool", "name": function.get("name")}
