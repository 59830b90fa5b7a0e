"""How Gemini shall answer: ``generationConfig``.

Format: https://ai.google.dev/api/generate-content#generationconfig. Fields of it that the domain has no word for are
extras under their path, such as ``generationConfig.mediaResolution``.
"""

from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    optional_integer,
    optional_list,
    optional_number,
    optional_object,
    optional_string,
    wrong,
)
from send2llm.infrastructure.formats.foreign import cannot_say
from send2llm.infrastructure.formats.gemini.neutral import object_in
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.thinking import read_thinking, write_thinking

PATH = "generationConfig."
JSON = "application/json"
_FORMATS = {JSON: "json_object", "text/plain": "text"}

_INTEGERS = {"max_output_tokens": "maxOutputTokens", "seed": "seed", "top_k": "topK"}
_NUMBERS = {
    "temperature": "temperature",
    "top_p": "topP",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_KNOWN = frozenset(
    {
        *_INTEGERS.values(),
        *_NUMBERS.values(),
        "stopSequences",
        "candidateCount",
        "thinkingConfig",
        "responseMimeType",
        "responseJsonSchema",
    }
)


def write_config(parameters: Parameters, extras: Body, target: Target) -> Body:
    """The fields; ``extras`` are those of Gemini's own. Raises ``RequestRejected``."""
    config = dict(extras)
    for name, field in (_INTEGERS | _NUMBERS).items():
        value = getattr(parameters, name)
        if value is not None:
            config[field] = value
    if parameters.stop:
        config["stopSequences"] = list(parameters.stop)
    if parameters.choices != 1:
        config["candidateCount"] = parameters.choices
    thinking = write_thinking(parameters, target) | config.get("thinkingConfig", {})
    if thinking:
        config["thinkingConfig"] = thinking
    if parameters.response_format is not None:
        config |= _response_format(parameters.response_format)
    return config


def _response_format(wanted: JsonObject) -> Body:
    """Structured output: https://ai.google.dev/gemini-api/docs/structured-output."""
    kind = wanted.get("type")
    if kind == "text":
        return {"responseMimeType": "text/plain"}
    if kind == "json_object":
        return {"responseMimeType": JSON}
    if kind != "json_schema":
        raise cannot_say(f"response_format (of type {str(kind)[:40]!r})", FORMAT)
    described = object_in(wanted, "json_schema", "response_format")
    schema = dict(object_in(described, "schema", "response_format.json_schema"))
    if described.get("description"):
        schema.setdefault("description", described["description"])
    return {"responseMimeType": JSON, "responseJsonSchema": schema}


def read_config(config: Body) -> tuple[dict[str, Any], Body]:
    """The parameters in it, and what else there is, as extras; raises ``WrongFieldError``."""
    read: dict[str, Any] = {name: optional_integer(config, field) for name, field in _INTEGERS.items()}
    read |= {name: optional_number(config, field) for name, field in _NUMBERS.items()}
    read["stop"] = tuple(_words(config))
    read["choices"] = optional_integer(config, "candidateCount") or 1
    extras = {PATH + name: value for name, value in config.items() if name not in _KNOWN and value is not None}
    try:
        effort, tokens, rest = read_thinking(optional_object(config, "thinkingConfig") or {})
    except WrongFieldError as error:
        raise error.within("thinkingConfig") from None
    read |= {"reasoning_effort": effort, "reasoning_tokens": tokens}
    if rest:
        extras[PATH + "thinkingConfig"] = rest
    kind = optional_string(config, "responseMimeType")
    schema = optional_object(config, "responseJsonSchema")
    if schema is not None and kind == JSON:
        read["response_format"] = {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    elif kind in _FORMATS and schema is None:
        read["response_format"] = {"type": _FORMATS[kind]}
    else:
        unusual = {"responseMimeType": kind, "responseJsonSchema": schema}
        extras |= {PATH + name: value for name, value in unusual.items() if value is not None}
    return read, extras


def _words(config: Body) -> list[str]:
    words = optional_list(config, "stopSequences") or []
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise wrong("a string", word, "stopSequences", place)
    return words
