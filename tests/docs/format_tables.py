"""The tables of docs/formats.md: what becomes of each field of a request at providers of each format.

Run it to print them: ``python tests/docs/format_tables.py``.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from typing import Any
from uuid import UUID

from send2llm.application.ports import ProviderCall
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.infrastructure.formats.anthropic import requests as anthropic_requests
from send2llm.infrastructure.formats.caller_format import CallerFormat
from send2llm.infrastructure.formats.foreign import HARMLESS, HARMLESS_VALUES
from send2llm.infrastructure.formats.installed import installed_formats
from send2llm.infrastructure.formats.openai_chat import requests as chat_requests
from send2llm.infrastructure.formats.responses import requests as responses_requests
from send2llm.infrastructure.providers.capabilities import Capabilities, capabilities_of
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider

SAID, CARRIED, REFUSED = "yes", "kept", "no"

TARGETS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai": ("gpt-x", {"base_url": "http://h/v1"}),
    "openai-responses": ("gpt-x", {"base_url": "http://h/v1"}),
    "anthropic": ("claude-sonnet-5", {"base_url": "http://h", "api_key": "k" * 8}),
    "gemini": ("gemini-3-pro", {"base_url": "http://h/v1beta", "api_key": "k" * 8}),
    "bedrock": (
        "anthropic.claude-sonnet-5",
        {"base_url": "http://h", "api_key": "k" * 8, "options": {"region": "us-east-1"}},
    ),
    "mistral": ("mistral-large-latest", {"base_url": "http://h/v1"}),
    "cohere": ("command-a-03-2025", {"base_url": "http://h", "api_key": "k" * 8}),
    "ollama": ("llama3", {"base_url": "http://h"}),
}
"""Providers of each format, with a model that can do what the format can say."""

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
CLAUDE_TOOLS = [{"name": "weather", "input_schema": SCHEMA}]
FLAT_TOOLS = [{"type": "function", "name": "weather", "parameters": SCHEMA}]
JSON_SCHEMA = {"name": "answer", "schema": {**SCHEMA, "additionalProperties": False}, "strict": True}

WAYS_IN: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai": (
        {"model": "m", "messages": [{"role": "user", "content": "Rain?"}]},
        {
            "max_tokens": 99, "max_completion_tokens": 99, "temperature": 0.5, "top_p": 0.9, "stop": ["."], "seed": 7,
            "n": 2, "tools": CHAT_TOOLS, "tool_choice": "required", "parallel_tool_calls": False,
            "response_format": {"type": "json_schema", "json_schema": JSON_SCHEMA}, "frequency_penalty": 0.5,
            "presence_penalty": 0.5, "top_k": 9, "reasoning_effort": "low", "stream_options": {"include_usage": True},
            "metadata": {"a": "b"}, "prompt_cache_key": "k", "prompt_cache_options": {}, "safety_identifier": "u",
            "prompt_cache_retention": "24h", "service_tier": "flex", "store": True, "user": "u", "verbosity": "low",
            "logprobs": True, "logit_bias": {"7": 1}, "prediction": {"type": "content", "content": "x"},
            "modalities": ["text", "audio"], "web_search_options": {},
        },
    ),
    "anthropic": (
        {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "Rain?"}]},
        {
            "system": "Be brief.", "temperature": 0.5, "top_p": 0.9, "top_k": 9, "stop_sequences": ["."],
            "tools": CLAUDE_TOOLS, "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
            "cache_control": {"type": "ephemeral"}, "metadata": {"user_id": "u"}, "service_tier": "standard_only",
            "context_management": {"edits": []}, "diagnostics": {}, "container": "c", "mcp_servers": [{"name": "m"}],
            "inference_geo": "eu", "speed": "fast",
        },
    ),
    "responses": (
        {"model": "m", "input": "Rain?"},
        {
            "instructions": "Be brief.", "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.9,
            "tools": FLAT_TOOLS, "tool_choice": "required", "parallel_tool_calls": False,
            "text": {"format": {"type": "json_schema", **JSON_SCHEMA}}, "reasoning": {"effort": "low"},
            "max_tool_calls": 3, "truncation": "auto", "metadata": {"a": "b"}, "client_metadata": {"a": "b"},
            "prompt_cache_key": "k", "prompt_cache_options": {}, "prompt_cache_retention": "24h",
            "safety_identifier": "u", "service_tier": "flex", "store": True, "user": "u",
            "stream_options": {"include_obfuscation": False}, "include": ["reasoning.encrypted_content"],
            "top_logprobs": 3, "prompt": {"id": "p"}, "background": True,
        },
    ),
}  # fmt: skip
"""By format: the least that can be asked, and an example of each field."""

NOT_OF_THE_BODY = {"anthropic-beta", "anthropic-version", "x-anthropic-billing-header", "previous_response_id"}
EVERYWHERE = {"model", "messages", "input", "stream", "max_tokens", "previous_response_id", "conversation"}


def known_fields(format_: str) -> set[str]:
    """The fields that the code knows by name."""
    readers = {"openai": chat_requests, "anthropic": anthropic_requests, "responses": responses_requests}
    known: frozenset[str] = readers[format_]._KNOWN
    return {*known, *HARMLESS[format_], *HARMLESS_VALUES.get(format_, {})} - NOT_OF_THE_BODY


def outcomes(format_: str) -> Iterator[tuple[str, list[str]]]:
    """For each field of a way in, what becomes of it at each of the targets."""
    caller = next(one for one in installed_formats() if one.name == format_ and "embeddings" not in one.paths[0])
    least, fields = WAYS_IN[format_]
    for name, value in fields.items():
        yield name, [_outcome(caller, least, {name: value}, target) for target in TARGETS]


def _outcome(caller: CallerFormat, least: dict[str, Any], field: dict[str, Any], target: str) -> str:
    helped = {**least, "tools": _tools(caller.name)} if {"tool_choice", "parallel_tool_calls"} & field.keys() else least
    try:
        without, with_it = (_written(caller, body, target) for body in (helped, {**helped, **field}))
    except (InvalidRequest, RequestRejected):
        return REFUSED
    return SAID if without != with_it else CARRIED


def _tools(format_: str) -> list[dict[str, Any]]:
    return {"openai": CHAT_TOOLS, "anthropic": CLAUDE_TOOLS, "responses": FLAT_TOOLS}[format_]


def _written(caller: CallerFormat, body: dict[str, Any], target: str) -> Any:
    request = caller.read(json.loads(json.dumps(body)), {})
    model, config = TARGETS[target]
    provider: Any = make_provider(target, ProviderConfig("p", **config))
    wire = provider._dialect.chat(ProviderCall(model, request.messages, request.parameters, UUID(int=1)), stream=False)
    return json.loads(wire.body), sorted(wire.headers)


def table(format_: str) -> str:
    """The table of a way in, as Markdown."""
    head = ["field", *(f"`{target}`" for target in TARGETS)]
    lines = [head, ["---"] * len(head), *([f"`{name}`", *row] for name, row in outcomes(format_))]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def capability_table() -> str:
    """What each format can carry, as Markdown."""
    head = ["format", *(field.name.replace("_", " ") for field in fields(Capabilities))]
    lines = [head, ["---"] * len(head)]
    for target in CAPABLE:
        model_and_config = TARGETS.get(target) or ("m", OTHERS[target])
        said = capabilities_of(make_provider(target, ProviderConfig("p", **model_and_config[1])))
        lines.append([f"`{target}`", *({True: "yes", False: "-", None: "?"}[value] for value in astuple(said))])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


OTHERS: Mapping[str, dict[str, Any]] = {
    "azure": {"base_url": "http://h", "api_key": "k" * 8},
    "vertex": {"api_key": "k" * 8, "options": {"project": "p", "location": "global"}},
}
CAPABLE = sorted([*TARGETS, *OTHERS])


if __name__ == "__main__":
    sys.stdout.write(capability_table() + "\n")
    sys.stdout.write("\n".join(f"{way}\n{table(way)}" for way in WAYS_IN))
