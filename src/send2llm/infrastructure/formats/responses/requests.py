"""Requests of OpenAI's responses, read by the gateway and written for a provider.

Format: https://platform.openai.com/docs/api-reference/responses/create. Fields that have no word in the domain stay
among the parameters' extras.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.continuation import INSTRUCTIONS, EarlierAnswer
from send2llm.domain.errors import EarlierAnswerNotFound, InvalidRequest
from send2llm.domain.message import NO_EXTRAS, JsonObject, Message, TextPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    optional_boolean,
    optional_integer,
    optional_list,
    optional_number,
    optional_object,
    optional_string,
    required_string,
    unknown_fields,
)
from send2llm.infrastructure.formats.foreign import refuse_fields, refuse_foreign_fields
from send2llm.infrastructure.formats.openai_chat.models import least_effort
from send2llm.infrastructure.formats.responses.names import FORMAT, earlier_answer
from send2llm.infrastructure.formats.responses.reading_items import read_input
from send2llm.infrastructure.formats.responses.tools import (
    read_text_format,
    read_tool,
    read_tool_choice,
    write_text_format,
    write_tool_choice,
    write_tools,
)
from send2llm.infrastructure.formats.responses.writing_items import write_input
from send2llm.infrastructure.formats.thought import without_thought

PREVIOUS = "previous_response_id"
ENCRYPTED = "reasoning.encrypted_content"
"""What can be included in an answer: thoughts in ciphertext."""

_KNOWN = frozenset(
    {
        "model", "input", "instructions", "stream", "max_output_tokens", "temperature", "top_p", "tools", "tool_choice",
        "text", "parallel_tool_calls", "reasoning", "background",
    }
)  # fmt: skip

_SAME_IN_CHAT = (
    "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
    "service_tier", "user",
)  # fmt: skip
"""Fields that OpenAI's chat completions have under the same names."""

_LACKING = (
    "stop", "seed", "choices", "top_k", "frequency_penalty", "presence_penalty", "embedding",
)  # fmt: skip
"""Known parameters that this format has no field for."""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A request in words of the domain."""

    model: str
    messages: list[Message]
    parameters: Parameters
    stream: bool
    after: EarlierAnswer | None


def read_request(body: Body) -> ResponseRequest:
    """Read a parsed body; raises ``InvalidRequest`` that names the field at fault, or ``EarlierAnswerNotFound``."""
    try:
        model = required_string(body, "model")
        if not model:
            raise WrongFieldError("must name a model", "model")
        _refuse(body)
        previous = optional_string(body, PREVIOUS)
        return ResponseRequest(
            model,
            [*_instructions(body), *read_input(body.get("input"))],
            _parameters(body),
            optional_boolean(body, "stream"),
            None if previous is None else _earlier(previous),
        )
    except WrongFieldError as error:
        raise InvalidRequest(str(error), param=error.param or None) from None


def _refuse(body: Body) -> None:
    """What is OpenAI's own service, not the model's."""
    if optional_boolean(body, "background"):
        raise WrongFieldError("is not supported: answers come while the request is open", "background")
    if body.get("conversation") is not None:
        raise WrongFieldError(
            "is not supported: go on with previous_response_id, or name a conversation of Send2LLM in the header "
            "x-send2llm-conversation-id",
            "conversation",
        )


def _earlier(name: str) -> EarlierAnswer:
    answer = earlier_answer(name)
    if answer is None:
        raise EarlierAnswerNotFound(name)
    return replace(answer, name=name)


def _instructions(body: Body) -> list[Message]:
    text = optional_string(body, "instructions")
    return [] if text is None else [Message("system", (TextPart(text),), extras={INSTRUCTIONS: True}, format=FORMAT)]


def _parameters(body: Body) -> Parameters:
    optional_list(body, "include")
    extras = unknown_fields(body, _KNOWN)
    text, reasoning = optional_object(body, "text") or {}, optional_object(body, "reasoning") or {}
    for name, further in (
        ("text", unknown_fields(text, frozenset({"format"}))),
        ("reasoning", unknown_fields(reasoning, frozenset({"effort"}))),
    ):
        if further:
            extras[name] = further
    return Parameters(
        max_output_tokens=_output_limit(body, extras),
        temperature=optional_number(body, "temperature"),
        top_p=optional_number(body, "top_p"),
        tools=tuple(_each(optional_list(body, "tools"))),
        tool_choice=_within(lambda: read_tool_choice(body.get("tool_choice")), "tool_choice"),
        response_format=_within(lambda: read_text_format(text.get("format")), "text", "format"),
        format=FORMAT,
        extras=extras or NO_EXTRAS,
        parallel_tool_calls=None
        if body.get("parallel_tool_calls") is None
        else optional_boolean(body, "parallel_tool_calls"),
        reasoning_effort=_within(lambda: optional_string(reasoning, "effort"), "reasoning"),
    )


def _output_limit(body: Body, extras: Body) -> int | None:
    limit = optional_integer(body, "max_output_tokens")
    if limit is not None and limit < 1:
        extras["max_output_tokens"] = limit  # for the provider to judge
        return None
    return limit


def _each(tools: list[Any] | None) -> list[JsonObject]:
    return [_within(partial(read_tool, tool), "tools", place) for place, tool in enumerate(tools or ())]


def _within(read: Any, *path: str | int) -> Any:
    try:
        return read()
    except WrongFieldError as error:
        raise error.within(*path) from None


def write_request(
    model: str, messages: Sequence[Message], parameters: Parameters, *, stream: bool = False, store: bool = False
) -> Body:
    """The body for a provider; raises ``RequestRejected`` for what cannot be said in this format.

    Unless it shall ``store`` what it hears and says, the provider is asked to encrypt its thoughts into the answer, so
    that they can be given back to it.
    """
    refuse_foreign_fields(parameters, FORMAT)
    refuse_fields(parameters, FORMAT, *_LACKING)
    parameters = without_thought(parameters, least_effort(model))
    instructions = [message for message in messages if message.extras.get(INSTRUCTIONS)]
    told = [message for message in messages if not message.extras.get(INSTRUCTIONS)]
    body: Body = {"model": model, "input": write_input(told, stored_thoughts=store)}
    if instructions:
        body["instructions"] = "\n\n".join(message.text for message in instructions)
    body |= write_parameters(parameters)
    body.pop(PREVIOUS, None)  # it is all in the input
    body["store"] = store
    if not store:
        wanted = list(body.get("include") or ())
        body["include"] = wanted if ENCRYPTED in wanted else [*wanted, ENCRYPTED]
    if stream:
        body["stream"] = True
    else:
        body.pop("stream_options", None)
    return body


def write_parameters(parameters: Parameters) -> Body:
    """The fields of a request that say how to answer; raises ``RequestRejected``."""
    extras = dict(parameters.extras)
    text: Body = {}
    if parameters.format != FORMAT:
        extras = {name: value for name, value in extras.items() if name in _SAME_IN_CHAT}
        if parameters.format == "openai" and parameters.extras.get("verbosity") is not None:
            text["verbosity"] = parameters.extras["verbosity"]
    text |= extras.pop("text", {})
    reasoning = dict(extras.pop("reasoning", {}))
    body: Body = extras
    if parameters.reasoning_effort is not None:
        reasoning = {"effort": parameters.reasoning_effort, **reasoning}
    if parameters.response_format is not None:
        text = {"format": write_text_format(parameters.response_format), **text}
    if parameters.tools:
        body["tools"] = write_tools(parameters)
    if parameters.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(parameters.tool_choice)
    for name in ("max_output_tokens", "temperature", "top_p", "parallel_tool_calls"):
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    for name, value in (("text", text), ("reasoning", reasoning)):
        if value:
            body[name] = value
    return body
