"""Requests of Ollama's chat and of its embeddings.

Sources: https://docs.ollama.com/api/chat, https://docs.ollama.com/api/embed and Ollama's ``api/types.go``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject, Message
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import (
    cannot_say,
    object_in,
    refuse_fields,
    refuse_foreign_fields,
    tools_for,
)
from send2llm.infrastructure.formats.ollama.reading_messages import FORMAT
from send2llm.infrastructure.formats.ollama.writing_messages import write_messages
from send2llm.infrastructure.formats.thought import without_thought
from send2llm.infrastructure.formats.vectors import texts_of

_OPTIONS = {
    "max_output_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}

_THINK = {"none": False, "low": "low", "medium": "medium", "high": "high", "max": "max"}
"""What ``think`` is, by reasoning effort."""


def write_request(
    model: str, messages: Sequence[Message], parameters: Parameters, usual: JsonObject, *, stream: bool
) -> Body:
    """The body of ``/api/chat``; ``usual`` is what it holds unless the caller says otherwise.

    Raises ``RequestRejected``.
    """
    refuse_fields(parameters, FORMAT, "choices")
    if parameters.parallel_tool_calls is False:
        raise cannot_say("parallel_tool_calls", FORMAT)
    body = _begun(model, parameters, usual)
    parameters = without_thought(parameters, "none")
    body["messages"] = write_messages(messages)
    options = {theirs: getattr(parameters, ours) for ours, theirs in _OPTIONS.items()}
    options["stop"] = list(parameters.stop) or None
    body["options"] = {
        **usual.get("options", {}),
        **body.get("options", {}),
        **{name: value for name, value in options.items() if value is not None},
    }
    body |= _think(parameters.reasoning_effort) | _format(parameters.response_format or {})
    tools = _tools(parameters)
    if tools:
        body["tools"] = tools
    body["stream"] = stream
    return body


def _begun(model: str, parameters: Parameters, usual: JsonObject) -> Body:
    """What the caller has sent beyond the known, if it was meant for Ollama."""
    if parameters.format == FORMAT:
        return {**usual, **parameters.extras, "model": model}
    refuse_foreign_fields(parameters, FORMAT)
    return {**usual, "model": model}


def _think(effort: str | None) -> Body:
    if effort is None:
        return {}
    if effort not in _THINK:
        raise cannot_say(f"reasoning_effort ({effort})", FORMAT)
    return {"think": _THINK[effort]}


def _format(wanted: JsonObject) -> Body:
    kind = wanted.get("type", "text")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"format": "json"}
    if kind == "json_schema":
        return {"format": object_in(wanted, "json_schema", "response_format").get("schema", {})}
    raise cannot_say(f"response_format ({kind})", FORMAT)


def _tools(parameters: Parameters) -> list[Any]:
    tools = [
        {"type": "function", "function": function, **further} if function else further
        for function, further in tools_for(parameters, FORMAT)
    ]
    choice = parameters.tool_choice
    if choice == "none":
        return []  # tools that must not be called need not be known
    if choice not in (None, "auto"):
        kind = choice.get("type") if isinstance(choice, Mapping) else choice
        raise cannot_say(f"tool_choice ({kind})", FORMAT)
    return tools


def write_embedding_request(model: str, messages: Sequence[Message], parameters: Parameters, usual: JsonObject) -> Body:
    """The body of ``/api/embed``; a text that is too long is an error, and never cut."""
    body = {**_begun(model, parameters, usual), "input": texts_of(messages, FORMAT)}
    if parameters.embedding is not None and parameters.embedding.dimensions is not None:
        body["dimensions"] = parameters.embedding.dimensions
    return body
