"""Requests of Cohere's chat and of its embeddings.

Sources: https://docs.cohere.com/v2/reference/chat, https://docs.cohere.com/v2/reference/embed and the SDK's
``cohere.v2.raw_client``.
"""

from collections.abc import Mapping, Sequence

from send2llm.domain.completion import EmbeddingParameters, Parameters
from send2llm.domain.message import JsonObject, Message
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT
from send2llm.infrastructure.formats.cohere.writing_messages import write_messages
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import (
    cannot_say,
    object_in,
    refuse_fields,
    refuse_foreign_fields,
    tools_for,
)
from send2llm.infrastructure.formats.thought import without_thought
from send2llm.infrastructure.formats.vectors import texts_of

MOST_TEXTS = 96
"""Texts that one request for embeddings may hold."""

USUAL_PURPOSE = "search_document"
"""Cohere insists on a purpose; this is for callers who name none."""

_NAMES = {
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}

_NO_SCHEMA: JsonObject = {"type": "object", "properties": {}}


def write_request(model: str, messages: Sequence[Message], parameters: Parameters, *, stream: bool) -> Body:
    """The body of ``/v2/chat``; raises ``RequestRejected``."""
    refuse_fields(parameters, FORMAT, "choices")
    if parameters.parallel_tool_calls is False:
        raise cannot_say("parallel_tool_calls", FORMAT)
    body = _begun(model, parameters)
    parameters = without_thought(parameters, "none" if "reasoning" in model else None)
    body["messages"] = write_messages(messages)
    for ours, theirs in _NAMES.items():
        value = getattr(parameters, ours)
        if value is not None:
            body[theirs] = value
    if parameters.stop:
        body["stop_sequences"] = list(parameters.stop)
    thinking = _thinking(parameters)
    if thinking:
        body["thinking"] = {**body.get("thinking", {}), **thinking}
    body |= _response_format(parameters.response_format or {}) | _tools(parameters)
    body["stream"] = stream
    return body


def _begun(model: str, parameters: Parameters) -> Body:
    """What the caller has sent beyond the known, if it was meant for Cohere."""
    if parameters.format == FORMAT:
        return {**parameters.extras, "model": model}
    refuse_foreign_fields(parameters, FORMAT)
    return {"model": model}


def _thinking(parameters: Parameters) -> Body:
    """Thought is on or off, with a budget or without one."""
    effort = parameters.reasoning_effort
    if effort not in (None, "none", "high"):
        raise cannot_say(f"reasoning_effort ({effort})", FORMAT)
    if effort == "none":
        return {"type": "disabled"}
    if parameters.reasoning_tokens is not None:
        return {"type": "enabled", "token_budget": parameters.reasoning_tokens}
    return {"type": "enabled"} if effort else {}


def _response_format(wanted: JsonObject) -> Body:
    kind = wanted.get("type", "text")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind == "json_schema":
        schema = object_in(wanted, "json_schema", "response_format").get("schema", {})
        return {"response_format": {"type": "json_object", "json_schema": schema}}
    raise cannot_say(f"response_format ({kind})", FORMAT)


def _tools(parameters: Parameters) -> Body:
    tools: list[JsonObject] = []
    strict = False
    for function, further in tools_for(parameters, FORMAT):
        if not function:
            tools.append(further)
            continue
        strict = strict or bool(function.get("strict"))
        known = {name: function[name] for name in ("name", "description") if function.get(name)}
        known["parameters"] = function.get("parameters") or _NO_SCHEMA
        tools.append({"type": "function", "function": known, **further})
    if not tools:
        return {}
    body: Body = {"tools": tools}
    if strict:
        body["strict_tools"] = True  # for all tools or for none
    return body | _tool_choice(parameters.tool_choice, tools)


def _tool_choice(choice: str | JsonObject | None, tools: Sequence[JsonObject]) -> Body:
    if choice in (None, "auto"):
        return {}
    if choice in ("required", "none"):
        return {"tool_choice": str(choice).upper()}
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        # One tool that must be called, and no other: there is no word for it, but the list of tools says it.
        name = object_in(choice, "function", "tool_choice").get("name")
        named = [tool for tool in tools if tool.get("function", {}).get("name") == name]
        if named:
            return {"tools": named, "tool_choice": "REQUIRED"}
    raise cannot_say("tool_choice", FORMAT)


def write_embedding_requests(model: str, messages: Sequence[Message], parameters: Parameters) -> list[Body]:
    """The bodies of ``/v2/embed``, one for each 96 texts; a text that is too long is an error, and never cut."""
    texts = texts_of(messages, FORMAT)
    wanted = parameters.embedding or EmbeddingParameters()
    shape: Body = {"truncate": "NONE", **_begun(model, parameters)}
    shape |= {"input_type": wanted.purpose or USUAL_PURPOSE, "embedding_types": ["float"]}
    if wanted.dimensions is not None:
        shape["output_dimension"] = wanted.dimensions
    return [{**shape, "texts": texts[n : n + MOST_TEXTS]} for n in range(0, len(texts), MOST_TEXTS)]
