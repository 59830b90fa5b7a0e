"""Requests of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (request body), and for what
only some vendors' models know, https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
"""

import json
from collections.abc import Sequence
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject, Message
from send2llm.infrastructure.formats.bedrock.blocks import FORMAT
from send2llm.infrastructure.formats.bedrock.writing_messages import write_messages
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import (
    cannot_say,
    object_in,
    refuse_fields,
    refuse_foreign_fields,
    tools_for,
)
from send2llm.infrastructure.formats.thought import without_thought

EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
"""What ``outputConfig.effort`` may be."""

_TOP_K_FIELDS = {"anthropic": "top_k", "mistral": "top_k", "cohere": "k", "amazon": "inferenceConfig"}
"""Where the vendors' models have ``top_k``, among the additional fields."""

_NO_SCHEMA: JsonObject = {"type": "object", "properties": {}}


def write_request(messages: Sequence[Message], parameters: Parameters, vendor: str = "") -> Body:
    """The body for a model of that ``vendor`` (``anthropic``, ``amazon``...); raises ``RequestRejected``."""
    ours = parameters.format == FORMAT
    if not ours:
        refuse_foreign_fields(parameters, FORMAT)
    refuse_fields(parameters, FORMAT, "seed", "choices", "frequency_penalty", "presence_penalty")
    if parameters.parallel_tool_calls is False:
        raise cannot_say("parallel_tool_calls", FORMAT)
    body: Body = dict(parameters.extras) if ours else {}
    if vendor != "anthropic":
        parameters = without_thought(parameters, None)
    system, body["messages"] = write_messages(messages)
    if system:
        body["system"] = system
    _merge(body, "inferenceConfig", _inference(parameters))
    _merge(body, "outputConfig", _output(parameters))
    _merge(body, "additionalModelRequestFields", _additional(parameters, vendor))
    tools = _tools(parameters, messages)
    if tools:
        body["toolConfig"] = tools
    return body


def _merge(body: Body, name: str, fields: Body) -> None:
    if fields:
        body[name] = {**body.get(name, {}), **fields}


def _inference(parameters: Parameters) -> Body:
    fields = {
        "maxTokens": parameters.max_output_tokens,
        "temperature": parameters.temperature,
        "topP": parameters.top_p,
        "stopSequences": list(parameters.stop) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _output(parameters: Parameters) -> Body:
    fields: Body = {}
    effort = parameters.reasoning_effort
    if effort is not None:
        if effort not in EFFORTS:
            raise cannot_say(f"reasoning_effort ({effort})", FORMAT)
        fields["effort"] = effort
    wanted = parameters.response_format or {}
    kind = wanted.get("type", "text")
    if kind == "json_schema":
        given = object_in(wanted, "json_schema", "response_format")
        schema = {"schema": json.dumps(given.get("schema", {}), ensure_ascii=False, default=dict)}
        schema |= {name: given[name] for name in ("name", "description") if given.get(name)}
        fields["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    elif kind != "text":
        raise cannot_say(f"response_format ({kind})", FORMAT)
    return fields


def _additional(parameters: Parameters, vendor: str) -> Body:
    """What goes past Converse to the model; each vendor has its own words."""
    fields: Body = {}
    budget = parameters.reasoning_tokens
    if budget is not None and vendor == "anthropic":  # others have no limit of thoughts
        fields["thinking"] = {"type": "enabled", "budget_tokens": budget} if budget else {"type": "disabled"}
    if parameters.top_k is not None:
        name = _TOP_K_FIELDS.get(vendor)
        if name is None:
            raise cannot_say("top_k", FORMAT)
        fields[name] = {"topK": parameters.top_k} if vendor == "amazon" else parameters.top_k
    return fields


def _tools(parameters: Parameters, messages: Sequence[Message]) -> Body:
    tools: list[Any] = []
    for function, further in tools_for(parameters, FORMAT):
        if not function:
            tools.append(further)
            continue
        spec: Body = {"name": function.get("name", "")}
        if function.get("description"):
            spec["description"] = function["description"]
        spec["inputSchema"] = {"json": function.get("parameters") or _NO_SCHEMA}
        if function.get("strict") is not None:
            spec["strict"] = function["strict"]
        point = further.get("cachePoint")
        spec |= {name: value for name, value in further.items() if name != "cachePoint"}
        tools.append({"toolSpec": spec})
        if point is not None:
            tools.append({"cachePoint": point})
    choice = parameters.tool_choice
    if choice == "none":
        if any(part.type in ("tool_call", "tool_result") for message in messages for part in message.parts):
            raise cannot_say("tool_choice (none, in a conversation with tool calls)", FORMAT)
        return {}  # tools that must not be called need not be known
    if not tools:
        return {}
    return {"tools": tools} if choice is None else {"tools": tools, "toolChoice": _tool_choice(choice)}


def _tool_choice(choice: str | JsonObject) -> Body:
    if choice == "auto":
        return {"auto": {}}
    if choice == "required":
        return {"any": {}}
    if not isinstance(choice, str) and choice.get("type") == "function":
        return {"tool": {"name": object_in(choice, "function", "tool_choice").get("name", "")}}
    kind = choice if isinstance(choice, str) else choice.get("type")
    raise cannot_say(f"tool_choice ({kind})", FORMAT)
