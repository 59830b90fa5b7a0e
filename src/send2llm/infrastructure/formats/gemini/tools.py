"""Tools, and which of them the model may or must call.

Format: https://ai.google.dev/api/caching#Tool, https://ai.google.dev/gemini-api/docs/function-calling. Schemas of
parameters are JSON Schema in ``parametersJsonSchema``; ``parameters``, which has OpenAPI's words for types, is kept as
it came, for Gemini only.
"""

from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_list,
    optional_object,
    optional_string,
    required_string,
    unknown_fields,
)
from send2llm.infrastructure.formats.foreign import FOREIGN_TOOL, cannot_say, tools_for
from send2llm.infrastructure.formats.gemini.neutral import an_object_of, object_in
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT

_DECLARATIONS = "functionDeclarations"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def write_tools(parameters: Parameters) -> list[Body]:
    """The ``tools``: all functions in one of them, and Google's own; raises ``RequestRejected``."""
    functions: list[Body] = []
    others: list[Body] = []
    for function, further in tools_for(parameters, FORMAT):
        if function:
            functions.append(_declaration(an_object_of(function, "tools.function"), further))
        else:
            others.append(dict(further))
    return [{_DECLARATIONS: functions}, *others] if functions else others


def _declaration(function: JsonObject, further: JsonObject) -> Body:
    declaration: Body = {"name": function.get("name", "")}
    if function.get("description") is not None:
        declaration["description"] = function["description"]
    if function.get("parameters") is not None and "parameters" not in further:
        declaration["parametersJsonSchema"] = function["parameters"]
    return {**declaration, **further}


def write_calling(parameters: Parameters) -> Body | None:
    """The ``functionCallingConfig``; raises ``RequestRejected``.

    ``VALIDATED`` is Gemini's word for a free choice among functions whose schemas hold, which ``strict`` asks for;
    with ``ANY`` they hold in any case.
    """
    choice = parameters.tool_choice
    strict = any(object_in(tool, "function", "tools").get("strict") for tool in parameters.tools)
    if choice is None or choice == "auto":
        if strict:
            return {"mode": "VALIDATED"}
        return {"mode": "AUTO"} if choice else None
    if isinstance(choice, str):
        if choice not in _MODES:
            raise cannot_say(f"tool_choice ({choice[:40]})", FORMAT)
        return {"mode": _MODES[choice]}
    if choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_name(choice)]}
    if choice.get("type") == "allowed_tools":
        return _allowed(object_in(choice, "allowed_tools", "tool_choice"))
    raise cannot_say(f"tool_choice (of type {str(choice.get('type'))[:40]!r})", FORMAT)


def _allowed(allowed: JsonObject) -> Body:
    tools = [an_object_of(tool, "tool_choice.allowed_tools.tools") for tool in allowed.get("tools", ())]
    if any(tool.get("type") != "function" for tool in tools):
        raise cannot_say("tool_choice (of tools that are no functions)", FORMAT)
    names = [_name(tool) for tool in tools]
    mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": names}


def _name(tool: JsonObject) -> str:
    return str(object_in(tool, "function", "tool_choice").get("name", ""))


def read_tools(body: Body) -> tuple[JsonObject, ...]:
    """The tools of a request; raises ``WrongFieldError``."""
    tools: list[JsonObject] = []
    for place, one in enumerate(optional_list(body, "tools") or []):
        try:
            tool = an_object(one)
            tools += [_function(an_object(function)) for function in optional_list(tool, _DECLARATIONS) or []]
        except WrongFieldError as error:
            raise error.within("tools", place) from None
        others = unknown_fields(tool, frozenset({_DECLARATIONS}))
        if others:
            tools.append({"type": FOREIGN_TOOL, "format": FORMAT, "body": others})
    return tuple(tools)


def _function(declaration: Body) -> JsonObject:
    function: dict[str, Any] = {"name": required_string(declaration, "name")}
    description = optional_string(declaration, "description")
    if description is not None:
        function["description"] = description
    schema = optional_object(declaration, "parametersJsonSchema")
    if schema is None and declaration.get("parameters") is not None:
        schema = _json_schema(declaration["parameters"])
    if schema is not None:
        function["parameters"] = schema
    further = unknown_fields(declaration, frozenset({"name", "description", "parametersJsonSchema"}))
    return {"type": "function", "function": function} | ({FORMAT: further} if further else {})


def _json_schema(schema: Any) -> Any:
    """An OpenAPI schema with JSON Schema's words for types."""
    if isinstance(schema, list):
        return [_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {name: _json_schema(value) for name, value in schema.items() if name != "nullable"}
    kind = read.get("type")
    if isinstance(kind, str):
        read["type"] = [kind.lower(), "null"] if schema.get("nullable") is True else kind.lower()
    return read


def read_calling(config: Body) -> tuple[str | JsonObject | None, Body]:
    """The choice, and the config itself if the domain has no word for it; raises ``WrongFieldError``."""
    mode = optional_string(config, "mode")
    names = optional_list(config, "allowedFunctionNames")
    if config.keys() == {"mode"}:
        for choice, word in _MODES.items():
            if word == mode:
                return choice, {}
    if config.keys() == {"mode", "allowedFunctionNames"} and names and mode in ("ANY", "VALIDATED"):
        if mode == "ANY" and len(names) == 1:
            return {"type": "function", "function": {"name": names[0]}}, {}
        tools = [{"type": "function", "function": {"name": name}} for name in names]
        allowed = {"mode": "required" if mode == "ANY" else "auto", "tools": tools}
        return {"type": "allowed_tools", "allowed_tools": allowed}, {}
    return None, config
