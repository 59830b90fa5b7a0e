"""Requests of Anthropic's messages, read by the gateway and written for a provider.

Format: https://platform.claude.com/docs/en/api/messages/create. A request that was read from that format is written as
it was, but for nulls (gone), the model, and what ``writing_messages`` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import NO_EXTRAS, JsonObject, Message
from send2llm.infrastructure.formats.anthropic.models import most_output_tokens, takes_system_messages
from send2llm.infrastructure.formats.anthropic.names import BETA_FIELD, BILLING_FIELD, FORMAT, VERSION_FIELD
from send2llm.infrastructure.formats.anthropic.reading_messages import read_messages, read_system
from send2llm.infrastructure.formats.anthropic.thinking import read_thinking, write_thinking
from send2llm.infrastructure.formats.anthropic.tools import read_tool_choice, read_tools, write_tool_choice, write_tools
from send2llm.infrastructure.formats.anthropic.writing_messages import write_messages
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    missing,
    optional_boolean,
    optional_integer,
    optional_list,
    optional_number,
    optional_object,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_fields, refuse_foreign_fields

_KNOWN = frozenset(
    {
        "model", "messages", "system", "stream", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences",
        "tools", "tool_choice", "thinking", "output_config",
    }
)  # fmt: skip
_SAMPLING = ("temperature", "top_p", "top_k")
_PRIVATE = frozenset({VERSION_FIELD, BETA_FIELD, BILLING_FIELD})
"""Extras that are no fields of the body."""

_SCHEMA_NAME = "answer"
"""What an answer's schema is called for formats in which it has a name."""


class ThreadsUnsupported(InvalidRequest):
    """The caller wants a message thread (beta): Anthropic would keep the conversation, and we would see its ends only.

    The code is Anthropic's, by which its SDKs know to send the whole conversation instead.
    https://platform.claude.com/docs/en/build-with-claude/message-threads
    """

    code = "thread_unsupported_request"

    def __init__(self) -> None:
        super().__init__(
            "Message threads are not kept here: send the whole conversation without the field 'thread'.", param="thread"
        )


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request in words of the domain."""

    model: str
    messages: list[Message]
    parameters: Parameters
    stream: bool


def read_request(body: Body, headers: Mapping[str, str] = NO_EXTRAS, *, counting: bool = False) -> MessagesRequest:
    """Read a parsed body; raises ``InvalidRequest`` with the path of the field at fault.

    ``headers`` are those of the request that belong to the format: version and beta features. A request to count its
    tokens (``counting``) has no ``max_tokens``.
    """
    if body.get("thread") is not None:
        raise ThreadsUnsupported
    try:
        model = required_string(body, "model")
        if not model:
            raise WrongFieldError("must name a model", "model")
        extras = unknown_fields(body, _KNOWN)
        extras.update(headers)
        if not counting and body.get("max_tokens") is None:
            raise missing("the most tokens that the answer may have", "max_tokens")
        instructions, billing = read_system(body.get("system"))
        if billing is not None:
            extras[BILLING_FIELD] = billing
        messages = [*instructions, *read_messages(body.get("messages"))]
        return MessagesRequest(model, messages, _parameters(body, extras), optional_boolean(body, "stream"))
    except WrongFieldError as error:
        raise InvalidRequest(str(error), param=error.param or None) from None


def _parameters(body: Body, extras: Body) -> Parameters:
    limit = optional_integer(body, "max_tokens")
    if limit is not None and limit < 1:
        extras["max_tokens"] = limit  # 0 fills the cache and asks for no answer
        limit = None
    choice, parallel = read_tool_choice(body)
    effort, response_format = _output_config(body, extras)
    return Parameters(
        max_output_tokens=limit,
        temperature=optional_number(body, "temperature"),
        top_p=optional_number(body, "top_p"),
        top_k=optional_integer(body, "top_k"),
        stop=_stop(body),
        tools=read_tools(body),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=response_format,
        reasoning_effort=effort,
        reasoning_tokens=read_thinking(body, extras),
        format=FORMAT,
        extras=extras or NO_EXTRAS,
    )


def _stop(body: Body) -> tuple[str, ...]:
    words = optional_list(body, "stop_sequences") or ()
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise wrong("a string", word, "stop_sequences", index)
    return tuple(words)


def _output_config(body: Body, extras: Body) -> tuple[str | None, JsonObject | None]:
    """The effort, and the format of the answer."""
    config = optional_object(body, "output_config")
    if config is None:
        return None, None
    try:
        effort = optional_string(config, "effort")
        shape = optional_object(config, "format")
    except WrongFieldError as error:
        raise error.within("output_config") from None
    further = unknown_fields(config, frozenset({"effort", "format"}))
    response_format: JsonObject | None = None
    if shape is not None:
        if shape.keys() == {"type", "schema"} and shape["type"] == "json_schema":
            schema = {"name": _SCHEMA_NAME, "schema": shape["schema"], "strict": True}
            response_format = {"type": "json_schema", "json_schema": schema}
        else:
            further["format"] = shape
    if further:
        extras["output_config"] = further
    return effort, response_format


def write_request(
    model: str,
    messages: Sequence[Message],
    parameters: Parameters,
    *,
    stream: bool = False,
    max_tokens: int | None = None,
    system_messages: bool | None = None,
) -> Body:
    """The body for a provider that calls the model ``model``; raises ``RequestRejected`` for what it cannot say.

    ``max_tokens`` is the limit where the caller set none; ``system_messages`` tells whether the model takes
    instructions among the messages. Both are known of Claude models.
    """
    refuse_foreign_fields(parameters, FORMAT)
    refuse_fields(parameters, FORMAT, "choices", "seed", "frequency_penalty", "presence_penalty", "embedding")
    extras = parameters.extras if parameters.format == FORMAT else NO_EXTRAS
    limit = _output_limit(model, parameters, extras, max_tokens)
    body = write_prompt(model, messages, parameters, system_messages=system_messages, output_limit=limit)
    for name in _SAMPLING:
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    if parameters.stop:
        body["stop_sequences"] = list(parameters.stop)
    if stream:
        body["stream"] = True
    return body


def write_prompt(
    model: str,
    messages: Sequence[Message],
    parameters: Parameters,
    *,
    system_messages: bool | None = None,
    output_limit: int | None = None,
) -> Body:
    """What the model reads, and no more: all that is needed to count tokens."""
    extras = parameters.extras if parameters.format == FORMAT else NO_EXTRAS
    native = takes_system_messages(model) if system_messages is None else system_messages
    system, turns = write_messages(messages, system_messages=native)
    body: Body = {"model": model, "messages": turns}
    body |= {name: value for name, value in extras.items() if name not in _PRIVATE}
    if BILLING_FIELD in extras:
        blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system or []
        system = [dict(extras[BILLING_FIELD]), *blocks]
    if system is not None:
        body["system"] = system
    tools = write_tools(parameters)
    if tools:
        body["tools"] = tools
    choice = write_tool_choice(parameters)
    if choice is not None:
        body["tool_choice"] = choice
    config = _written_output_config(parameters, extras)
    if config:
        body["output_config"] = config
    if output_limit is not None:
        body["max_tokens"] = output_limit
    write_thinking(body, parameters, extras)
    return body


def _output_limit(model: str, parameters: Parameters, extras: JsonObject, default: int | None) -> int:
    stated: Any = extras.get("max_tokens")
    if isinstance(stated, int) and stated < 1:
        return stated
    limit = parameters.max_output_tokens
    return limit if limit is not None else default or most_output_tokens(model)


def _written_output_config(parameters: Parameters, extras: JsonObject) -> Body:
    config = dict(extras.get("output_config", {}))
    effort = parameters.reasoning_effort
    if effort is not None and effort != "none":
        config["effort"] = "low" if effort == "minimal" else effort
    shape = parameters.response_format
    if shape is not None and shape.get("type") != "text":
        if shape.get("type") != "json_schema":
            raise cannot_say(f"response_format (of type {str(shape.get('type'))[:40]!r}, without a schema)", FORMAT)
        config["format"] = {"type": "json_schema", "schema": shape.get("json_schema", {}).get("schema", {})}
    return config
