"""What one wire format says and another cannot: carried for its own format, or refused by name; never lost in silence.

Fields that Send2LLM does not know stay with the message or the parameters that they came in (``extras``), under the
name of their format. A provider of that format gets them back. For one of another format they are harmless when they
say nothing about the answer (who asks, what to log, how to cache); else the call is refused before it is made.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import ForeignPart, JsonObject, Message, ReasoningPart, RefusalPart, TextPart
from send2llm.infrastructure.formats.fields import Body

FORMATS: Mapping[str, str] = {
    "openai": "OpenAI's chat completions",
    "responses": "OpenAI's responses",
    "anthropic": "Anthropic's messages",
    "gemini": "Google's Gemini",
    "bedrock": "Amazon Bedrock's Converse",
    "mistral": "Mistral's chat completions",
    "cohere": "Cohere's chat",
    "ollama": "Ollama's chat",
}
"""What the wire formats are called, by the names that they have in the domain."""

FOREIGN_TOOL = "foreign"
"""The type of a tool that only its own ``format`` knows; its ``body`` is the tool as it came."""

HARMLESS: Mapping[str, frozenset[str]] = {
    "openai": frozenset(
        {
            "max_tokens", "max_completion_tokens", "n", "stop", "stream_options",  # spellings of what is known
            "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
            "service_tier", "store", "user", "verbosity",
        }
    ),
    "anthropic": frozenset(
        {
            "max_tokens", "thinking",  # spellings of what is known
            "anthropic-beta", "anthropic-version", "x-anthropic-billing-header",  # for Anthropic itself
            "cache_control", "diagnostics", "metadata", "service_tier",
            "context_management",  # what the model need not read again; one that does loses nothing
        }
    ),
    "responses": frozenset(
        {
            "max_tool_calls",  # of tools that the provider runs, and those are refused
            "truncation",  # what is too long is an error then
            "client_metadata", "metadata", "previous_response_id", "prompt_cache_key", "prompt_cache_options",
            "prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream_options", "user",
        }
    ),
    "gemini": frozenset({"labels", "serviceTier", "store"}),
    "cohere": frozenset({"priority"}),
    "ollama": frozenset({"keep_alive"}),
    "bedrock": frozenset(
        {
            "additionalModelResponseFieldPaths", "performanceConfig", "projectIdentifier", "requestMetadata",
            "serviceTier",
        }
    ),
}  # fmt: skip
"""Fields of requests, by format, without which another format says the same."""

HARMLESS_VALUES: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    # Many clients send what is meant anyway.
    "openai": {
        "logit_bias": lambda value: value == {},
        "logprobs": lambda value: value is False,
        "modalities": lambda value: value == ["text"],
    },
    "anthropic": {
        "mcp_servers": lambda value: value == [],
        "speed": lambda value: value == "standard",
    },
    "responses": {
        "top_logprobs": lambda value: value == 0,
        # Of the things that can be included in an answer, only one is of answers to plain questions.
        "include": lambda value: "message.output_text.logprobs" not in value,
        "reasoning": lambda value: value.keys() <= {"summary", "generate_summary"},
        "text": lambda value: value.keys() <= {"verbosity"},
    },
}
"""The same of fields with some values."""


def refuse_foreign_fields(parameters: Parameters, target: str) -> None:
    """Raise ``RequestRejected`` for a field that a provider of the format ``target`` would never get to know."""
    if parameters.format == target:
        return
    for name, value in parameters.extras.items():
        if not is_harmless(parameters.format, name, value):
            raise cannot_say(name, target, source=parameters.format)
    for place, tool in enumerate(parameters.tools):
        for name in _further_fields(tool, parameters.format):
            raise cannot_say(f"tools.{place}.{name}", target, source=parameters.format)
    for name in (parameters.response_format or {}).keys() - _RESPONSE_FORMAT:
        raise cannot_say(f"response_format.{name}", target, source=parameters.format)


def _further_fields(tool: JsonObject, source: str) -> Iterable[str]:
    """What a function tool says beyond what all formats can say, and what is harmless."""
    if tool.get("type") != "function":
        return
    yield from tool.keys() - _TOOL - FORMATS.keys()
    for place, known in (("function", _FUNCTION), (source, _TOOL)):
        further = tool.get(place)
        if isinstance(further, Mapping):
            yield from further.keys() - known


_TOOL = frozenset({"type", "function", "cache_control", "eager_input_streaming"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict", "cache_control"})
_RESPONSE_FORMAT = frozenset({"type", "json_schema"})


def is_harmless(source: str, name: str, value: Any) -> bool:
    """Whether a request of the format ``source`` says the same without this field."""
    values = HARMLESS_VALUES.get(source, {})
    return name in HARMLESS.get(source, frozenset()) or (name in values and values[name](value))


def refuse_fields(parameters: Parameters, target: str, *names: str) -> None:
    """Raise ``RequestRejected`` for one of the known parameters ``names`` that is set, and that ``target`` lacks."""
    for name in names:
        value = getattr(parameters, name)
        if value is not None and value != () and value != _USUAL.get(name):
            raise cannot_say(_SPELLINGS.get(name, name), target)


_USUAL = {"choices": 1, "frequency_penalty": 0, "presence_penalty": 0}
"""What is meant where nothing is said."""

_SPELLINGS = {"choices": "n", "max_output_tokens": "max_tokens"}


def cannot_say(field: str, target: str, *, source: str | None = None) -> RequestRejected:
    """The error for a ``field`` that the format ``target`` has no word for."""
    of = f" of {FORMATS.get(source, source)}" if source else ""
    error = RequestRejected(
        f"The field {field[:80]!r}{of} cannot be said in {FORMATS.get(target, target)}. Leave it out, send the request "
        f"to a provider whose format has it, or have the operator put it into leave_out of this provider."
    )
    error.param = field[:80]
    return error


def require_text(message: Message, target: str, *others: type) -> None:
    """Raise ``RequestRejected`` if a message holds more than text, where ``target`` takes no more in its role.

    ``others`` are the kinds of parts that may stand there too; so may parts that are the target's own, and thoughts,
    which go nowhere else.
    """
    for part in message.parts:
        own = isinstance(part, ForeignPart) and part.format == target
        if not own and not isinstance(part, (TextPart, RefusalPart, ReasoningPart, *others)):
            raise refuse_foreign_part(part, target, where=f" in a message of the role {message.role!r}")


def refuse_foreign_part(part: object, target: str, *, where: str = "") -> RequestRejected:
    """The error for a content part that ``target`` cannot carry, or not there (``where``)."""
    if isinstance(part, ForeignPart):
        kind = f"a part of type {str(part.body.get('type', '?'))[:80]!r} of {FORMATS.get(part.format, part.format)}"
    else:
        kind = f"a part of type {getattr(part, 'type', '?')!r}"
    return RequestRejected(
        f"The conversation holds {kind}{where}, which cannot be said in {FORMATS.get(target, target)}. Send it to a "
        "provider whose format has it, or leave the part out."
    )


def tools_for(parameters: Parameters, target: str) -> Iterable[tuple[JsonObject, JsonObject]]:
    """The function tools with the further fields that they have for ``target``; raises ``RequestRejected`` for others.

    A tool that is known to ``target`` only comes as ``({}, body)``.
    """
    for place, tool in enumerate(parameters.tools):
        if tool.get("type") == FOREIGN_TOOL:
            source, body = str(tool.get("format")), object_in(tool, "body", f"tools.{place}")
            if source != target:
                kind = f"{FORMATS.get(source, source)}, of type {body.get('type')!r},"
                raise cannot_say(f"tools (a tool of {kind})", target)
            yield {}, body
        elif tool.get("type", "function") == "function":
            function = object_in(tool, "function", f"tools.{place}")
            yield function, object_in(tool, target, f"tools.{place}") if target in tool else {}
        elif parameters.format == target:
            yield {}, tool
        else:
            raise cannot_say(f"tools (a tool of type {tool.get('type')!r})", target)


def object_in(body: JsonObject, name: str, place: str) -> JsonObject:
    """The object in a field of what the caller has sent; raises ``RequestRejected`` if there is none in it."""
    value = body.get(name)
    if isinstance(value, Mapping) and value:
        return value
    raise RequestRejected(f"The field '{place}.{name}' must be an object that says something.")


def without_other_formats(tool: JsonObject, target: str) -> Body:
    """A tool in OpenAI's shape without the objects that belong to other formats."""
    return {name: value for name, value in tool.items() if name == target or name not in FORMATS}
