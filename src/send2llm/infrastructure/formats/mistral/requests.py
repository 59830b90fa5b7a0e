"""Requests of Mistral's chat completions and embeddings, written for the provider.

Format: ``ChatCompletionRequest`` and ``EmbeddingRequest`` of ``mistralai.client.models``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject, Message
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import (
    cannot_say,
    is_harmless,
    refuse_foreign_fields,
    tools_for,
)
from send2llm.infrastructure.formats.mistral.reading_messages import FORMAT
from send2llm.infrastructure.formats.mistral.writing_messages import OWN, write_messages
from send2llm.infrastructure.formats.thought import without_thought

OWN_FIELDS = frozenset(
    {
        "guardrails", "logprobs", "metadata", "min_tokens", "prediction", "prompt_cache_key", "prompt_logprobs",
        "prompt_mode", "random_seed", "repetition_penalty", "safe_prompt", "service_tier", "top_logprobs",
        "top_prompt_logprobs",
    }
)  # fmt: skip
"""Further fields that Mistral knows; it refuses all others."""

_NAMES = {
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "random_seed",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning_effort": "reasoning_effort",
    "response_format": "response_format",
}
_SERVICE_TIERS = frozenset({"auto", "standard_only"})


def write_request(model: str, messages: Sequence[Message], parameters: Parameters, *, stream: bool = False) -> Body:
    """The body of a request; raises ``RequestRejected`` that names the field which Mistral has no word for.

    Streams report their usage unasked.
    """
    body: Body = {"model": model, "messages": write_messages(messages), **_further(parameters)}
    parameters = without_thought(parameters, None)  # they think when they are told to, or always
    for name, spelling in _NAMES.items():
        value = getattr(parameters, name)
        if value is not None:
            body[spelling] = value
    if parameters.stop:
        body["stop"] = list(parameters.stop)
    if parameters.choices != 1:
        body["n"] = parameters.choices
    if parameters.tools:
        body["tools"] = [_tool(function, own) for function, own in tools_for(parameters, FORMAT)]
    if parameters.tool_choice is not None:
        body["tool_choice"] = _tool_choice(parameters.tool_choice)
    if stream:
        body["stream"] = True
    return body


def _further(parameters: Parameters) -> Body:
    """The caller's further fields that are Mistral's own; harmless ones of OpenAI's are left out."""
    if parameters.format not in OWN:
        refuse_foreign_fields(parameters, FORMAT)
        return {}
    further: Body = {}
    for name, value in parameters.extras.items():
        if name == "service_tier" and value not in _SERVICE_TIERS:
            continue  # it is one of OpenAI's, and harmless
        if name in OWN_FIELDS:
            further[name] = value
        elif not is_harmless("openai", name, value):
            raise cannot_say(name, FORMAT, source=parameters.format)
    return further


def _tool(function: JsonObject, own: JsonObject) -> Body:
    if not function:
        return dict(own)
    written: dict[str, Any] = {"name": function.get("name"), "parameters": function.get("parameters") or {}}
    for name in ("description", "strict"):
        if function.get(name) is not None:
            written[name] = function[name]
    return {"type": "function", "function": written}


def _tool_choice(choice: str | JsonObject) -> str | JsonObject:
    if isinstance(choice, str) or choice.get("type") == "function":
        return choice
    raise cannot_say(f"tool_choice (of type {choice.get('type')!r})", FORMAT)


def write_embedding_requests(model: str, messages: Sequence[Message], parameters: Parameters) -> list[Body]:
    """The bodies of requests for embeddings, each part of the messages one input; raises ``RequestRejected``."""
    bodies = openai_chat.write_embedding_requests(model, messages, replace(parameters, extras={}), FORMAT)
    further = _further(parameters)
    for body in bodies:
        del body["encoding_format"]  # what its base64 holds is not documented; numbers are understood
        if "dimensions" in body:
            body["output_dimension"] = body.pop("dimensions")
        if "metadata" in further:
            body["metadata"] = further["metadata"]
    return bodies
