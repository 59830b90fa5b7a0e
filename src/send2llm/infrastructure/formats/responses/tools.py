"""Tools, their choice, and the format of the text: flat in OpenAI's responses, nested in its chat completions.

Format: https://platform.openai.com/docs/api-reference/responses/create (``tools``, ``tool_choice``, ``text``). What the
provider runs itself (a search, a computer) is known to this format only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import JsonObject
from send2llm.infrastructure.formats.fields import (
    Body,
    an_object,
    optional_list,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.foreign import FOREIGN_TOOL, FORMATS, cannot_say
from send2llm.infrastructure.formats.responses.names import FORMAT

_FUNCTION = ("name", "description", "parameters", "strict")
_CUSTOM = ("name", "description", "format")
_NAMED = ("function", "custom")


def read_tool(value: object) -> JsonObject:
    """A tool of a request; raises ``WrongFieldError``."""
    tool = an_object(value)
    kind = required_string(tool, "type")
    if kind == "function":
        known = {"name": required_string(tool, "name"), **_some(tool, _FUNCTION[1:])}
        return _with_further({"type": kind, kind: known}, tool, _FUNCTION)
    if kind == "custom":
        known = {"name": required_string(tool, "name"), **_some(tool, ("description",))}
        if tool.get("format") is not None:
            known["format"] = _nested_grammar(an_object(tool["format"], "format"))
        return _with_further({"type": kind, kind: known}, tool, _CUSTOM)
    return {"type": FOREIGN_TOOL, "format": FORMAT, "body": tool}


def _with_further(tool: Body, flat: Body, known: Iterable[str]) -> Body:
    further = unknown_fields(flat, frozenset({*known, "type"}))
    return {**tool, FORMAT: further} if further else tool


def write_tools(parameters: Parameters) -> list[Any]:
    """The tools for a provider; raises ``RequestRejected`` for those of another format."""
    return [_written_tool(tool, ours=parameters.format == FORMAT) for tool in parameters.tools]


def _written_tool(tool: JsonObject, *, ours: bool) -> JsonObject:
    kind = tool.get("type", "function")
    if kind == FOREIGN_TOOL:
        body: JsonObject = tool["body"]
        if tool.get("format") != FORMAT:
            of = FORMATS.get(tool["format"], tool["format"])
            raise cannot_say(f"tools (a tool of {of}, of type {body.get('type')!r})", FORMAT)
        return body
    if kind not in _NAMED:
        raise cannot_say(f"tools (a tool of type {kind!r})", FORMAT)
    nested = dict(_object(tool.get(kind) or {}, f"tools ({kind})"))
    if kind == "custom":
        if nested.get("format") is not None:
            nested["format"] = _flat_grammar(_object(nested["format"], "tools (format)"))
    elif not ours:
        nested.setdefault("strict", False)  # what is left out means strict here, and the opposite there
        nested.setdefault("parameters", {"type": "object", "properties": {}})
    return {"type": kind, **nested, **tool.get(FORMAT, {})}


def _nested_grammar(format_: Body) -> Body:
    if format_.get("type") != "grammar":
        return format_
    return {"type": "grammar", "grammar": {name: value for name, value in format_.items() if name != "type"}}


def _flat_grammar(format_: JsonObject) -> JsonObject:
    if format_.get("type") != "grammar":
        return format_
    return {"type": "grammar", **_object(format_.get("grammar") or {}, "tools (grammar)")}


def read_tool_choice(choice: object) -> str | JsonObject | None:
    """``tool_choice``; raises ``WrongFieldError``."""
    if choice is None or isinstance(choice, str):
        return choice
    if not isinstance(choice, dict):
        raise wrong("a string or an object", choice)
    kind = choice.get("type")
    if kind in _NAMED:
        return {"type": kind, kind: {"name": required_string(choice, "name")}}
    if kind == "allowed_tools":
        tools = [_nested_name(tool) for tool in optional_list(choice, "tools") or ()]
        return {"type": kind, kind: {**_some(choice, ("mode",)), "tools": tools}}
    return choice


def _nested_name(tool: Any) -> Any:
    if isinstance(tool, dict) and tool.get("type") in _NAMED:
        return {"type": tool["type"], tool["type"]: {"name": tool.get("name")}}
    return tool


def write_tool_choice(choice: str | JsonObject) -> str | JsonObject:
    """``tool_choice``."""
    if isinstance(choice, str):
        return choice
    kind = choice.get("type")
    if kind in _NAMED and kind in choice:
        return {"type": kind, **_object(choice[kind], "tool_choice")}
    if kind == "allowed_tools" and kind in choice:
        allowed = _object(choice[kind], "tool_choice")
        tools = allowed.get("tools")
        flat = [_flat_name(tool) for tool in tools] if isinstance(tools, list | tuple) else tools
        return {"type": kind, **_some(allowed, ("mode",)), "tools": flat}
    return choice


def _flat_name(tool: Any) -> Any:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return {"type": kind, **tool[kind]} if kind in _NAMED and isinstance(tool.get(kind), dict) else tool


def read_text_format(format_: object) -> JsonObject | None:
    """``text.format`` as ``response_format``; raises ``WrongFieldError``."""
    if format_ is None:
        return None
    format_ = an_object(format_)
    if optional_string(format_, "type") != "json_schema":
        return format_
    return {"type": "json_schema", "json_schema": {name: format_[name] for name in format_ if name != "type"}}


def write_text_format(response_format: JsonObject) -> JsonObject:
    """``response_format`` as ``text.format``; what is said to be no JSON schema is passed on."""
    if response_format.get("type") != "json_schema":
        return response_format
    return {"type": "json_schema", **_object(response_format.get("json_schema") or {}, "response_format")}


def _object(value: object, field: str) -> JsonObject:
    """``value`` if it is an object, which nobody has looked at yet; raises ``RequestRejected``."""
    if isinstance(value, Mapping):
        return value
    raise RequestRejected(f"The field {field!r} is not as OpenAI's formats have it: there must be an object.")


def _some(body: JsonObject, names: Iterable[str]) -> Body:
    return {name: body[name] for name in names if body.get(name) is not None}
