"""Requests of OpenAI's chat completions, read by the gateway and written for a provider.

Format: https://platform.openai.com/docs/api-reference/chat/create. A request that was read from that format
is written as it was, but for nulls (gone), the model, and what ``writing_messages`` says. Where the format
has two spellings for one thing, the caller's own stays in the extras and is used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import NO_EXTRAS, JsonObject, Message
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
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
from send2llm.infrastructure.formats.foreign import (
    FOREIGN_TOOL,
    cannot_say,
    refuse_foreign_fields,
    without_other_formats,
)
from send2llm.infrastructure.formats.openai_chat.models import least_effort
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT, read_message
from send2llm.infrastructure.formats.openai_chat.writing_messages import write_messages
from send2llm.infrastructure.formats.thought import without_thought

OutputLimitField = Literal["max_tokens", "max_completion_tokens"]
"""OpenAI's reasoning models insist on ``max_completion_tokens``, the newer; most others know the older."""

_OUTPUT_LIMITS: tuple[OutputLimitField, ...] = ("max_completion_tokens", "max_tokens")
_KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "n",
        "tools",
        "tool_choice",
        "response_format",
        "frequency_penalty",
        "presence_penalty",
        "parallel_tool_calls",
        "reasoning_effort",
        "top_k",
    }
)
_SAME_NAMES = ("top_k", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "reasoning_effort")
_PLAIN = frozenset({"model", "messages", "stream"})
_INCLUDE_USAGE = frozenset({"include_usage"})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request in words of the domain; ``include_usage``: the caller's stream shall end with the usage."""

    model: str
    messages: list[Message]
    parameters: Parameters
    stream: bool
    include_usage: bool


def read_request(body: object) -> ChatRequest:
    """Read a parsed request body; raises ``InvalidRequest`` with the path of the field at fault."""
    try:
        body = an_object(body)
        model = required_string(body, "model")
        if not model:
            raise WrongFieldError("must name a model", "model")
        messages = _messages(body.get("messages"))
        stream = optional_boolean(body, "stream")
        if body.keys() <= _PLAIN:
            return ChatRequest(model, messages, Parameters(), stream, include_usage=False)
        options = optional_object(body, "stream_options") or {}
        parameters = _parameters(body, unknown_fields(options, _INCLUDE_USAGE) if options else options)
        return ChatRequest(model, messages, parameters, stream, options.get("include_usage") is True)
    except WrongFieldError as error:
        raise InvalidRequest(str(error), param=error.param or None) from None


def _messages(bodies: object) -> list[Message]:
    if bodies is None:
        raise missing("a list with at least one message", "messages")
    if not isinstance(bodies, list):
        raise wrong("a list of messages", bodies, "messages")
    if not bodies:
        raise WrongFieldError("must not be empty: send at least one message", "messages")
    messages: list[Message] = []
    try:
        for body in bodies:
            messages.append(read_message(body))  # noqa: PERF401 - the length tells which message is wrong
    except WrongFieldError as error:
        raise error.within("messages", len(messages)) from None
    return messages


def _parameters(body: Body, stream_options: Body) -> Parameters:
    extras = unknown_fields(body, _KNOWN)
    if stream_options:
        extras["stream_options"] = stream_options
    tools = optional_list(body, "tools")
    return Parameters(
        max_output_tokens=_output_limit(body, extras),
        temperature=optional_number(body, "temperature"),
        top_p=optional_number(body, "top_p"),
        stop=_stop(body.get("stop"), extras),
        seed=optional_integer(body, "seed"),
        choices=_choices(body, extras),
        tools=tuple(an_object(tool, "tools", index) for index, tool in enumerate(tools)) if tools else (),
        tool_choice=_tool_choice(body.get("tool_choice")),
        response_format=optional_object(body, "response_format"),
        format=FORMAT,
        extras=extras or NO_EXTRAS,
        top_k=optional_integer(body, "top_k"),
        frequency_penalty=optional_number(body, "frequency_penalty"),
        presence_penalty=optional_number(body, "presence_penalty"),
        parallel_tool_calls=None
        if body.get("parallel_tool_calls") is None
        else optional_boolean(body, "parallel_tool_calls"),
        reasoning_effort=optional_string(body, "reasoning_effort"),
    )


def _output_limit(body: Body, extras: Body) -> int | None:
    """The largest limit given; numbers below 1 are for the provider to judge (-1 is "no limit" to some)."""
    limit: int | None = None
    for field in _OUTPUT_LIMITS:
        value = optional_integer(body, field)
        if value is not None:
            extras[field] = value
            if value > 0:
                limit = max(value, limit or 0)
    return limit


def _stop(stop: object, extras: Body) -> tuple[str, ...]:
    if stop is None:
        return ()
    if isinstance(stop, str):
        extras["stop"] = stop
        return (stop,)
    if not isinstance(stop, list):
        raise wrong("a string or a list of strings", stop, "stop")
    for index, word in enumerate(stop):
        if not isinstance(word, str):
            raise wrong("a string", word, "stop", index)
    return tuple(stop)


def _choices(body: Body, extras: Body) -> int:
    choices = optional_integer(body, "n")
    if choices is None:
        return 1
    if choices < 1:
        raise WrongFieldError("must be at least 1", "n")
    if choices == 1:
        extras["n"] = 1
    return choices


def _tool_choice(choice: object) -> str | JsonObject | None:
    if choice is None or isinstance(choice, str | dict):
        return choice
    raise wrong("a string or an object", choice, "tool_choice")


def write_request(
    model: str,
    messages: Sequence[Message],
    parameters: Parameters,
    *,
    stream: bool = False,
    stream_usage: bool = True,
    output_limit: OutputLimitField = "max_tokens",
    only_output_limit: bool = False,
) -> Body:
    """The body for a provider that calls the model ``model``.

    A stream is asked to report its usage unless ``stream_usage`` is off, for servers that refuse to be asked.
    ``output_limit`` is the field for a limit which did not come with a spelling of its own; for any limit, if it is
    the only one that the server knows (``only_output_limit``).
    """
    ours = parameters.format == FORMAT
    if not ours:
        refuse_foreign_fields(parameters, FORMAT)
        parameters = without_thought(parameters, least_effort(model))
    body: Body = {"model": model, "messages": write_messages(messages)}
    extras = parameters.extras if ours else NO_EXTRAS
    if extras:
        body.update(extras)
        body.pop("stream_options", None)
    if parameters.max_output_tokens is not None:
        if only_output_limit:
            _name_output_limit(body, output_limit)
        _write_output_limit(body, parameters.max_output_tokens, output_limit)
    if parameters.temperature is not None:
        body["temperature"] = parameters.temperature
    if parameters.top_p is not None:
        body["top_p"] = parameters.top_p
    if parameters.stop:
        single = "stop" in extras and len(parameters.stop) == 1
        body["stop"] = parameters.stop[0] if single else list(parameters.stop)
    if parameters.seed is not None:
        body["seed"] = parameters.seed
    if parameters.choices != 1:
        body["n"] = parameters.choices
    for name in _SAME_NAMES:
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    if parameters.tools:
        body["tools"] = [_tool(tool) for tool in parameters.tools]
    if parameters.tool_choice is not None:
        body["tool_choice"] = parameters.tool_choice
    if parameters.response_format is not None:
        body["response_format"] = parameters.response_format
    if stream:
        body["stream"] = True
        options: dict[str, Any] = dict(extras.get("stream_options", {}))
        if stream_usage:
            options["include_usage"] = True
        if options:
            body["stream_options"] = options
    return body


def _tool(tool: JsonObject) -> JsonObject:
    if tool.get("type") == FOREIGN_TOOL:
        if tool.get("format") != FORMAT:
            raise cannot_say(f"tools (a tool of type {tool['body'].get('type')!r})", FORMAT, source=tool["format"])
        foreign: JsonObject = tool["body"]
        return foreign
    return without_other_formats(tool, FORMAT)


def _name_output_limit(body: Body, name: OutputLimitField) -> None:
    """Leave just the field of that name: a server would pass over the other one, and write on."""
    given = [body.pop(field) for field in _OUTPUT_LIMITS if field in body]
    limits = [limit for limit in given if limit > 0]
    if limits:
        body[name] = max(limits)


def _write_output_limit(body: Body, limit: int, default: OutputLimitField) -> None:
    """Write the limit under the caller's own name for it; no field may allow more than the limit does."""
    named = [field for field in _OUTPUT_LIMITS if field in body]
    for field in named or [default]:
        body[field] = min(body.get(field, limit), limit) if body.get(field, 1) > 0 else limit
