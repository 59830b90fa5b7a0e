"""Callers of Anthropic's format who want no thought, before the models of others."""

from collections.abc import Callable
from typing import Any

import pytest

from send2llm.infrastructure.formats import anthropic, bedrock, cohere, gemini, mistral, ollama, openai_chat, responses

Write = Callable[[anthropic.MessagesRequest], dict[str, Any]]


def asked(**fields: Any) -> anthropic.MessagesRequest:
    told = {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return anthropic.read_request(told)


def chat(model: str) -> Write:
    return lambda request: openai_chat.write_request(model, request.messages, request.parameters)


def response(model: str) -> Write:
    return lambda request: responses.write_request(model, request.messages, request.parameters)


def google(model: str) -> Write:
    target = gemini.Target(model)
    return lambda request: gemini.write_request(request.messages, request.parameters, target)


def aws(vendor: str) -> Write:
    return lambda request: bedrock.write_request(request.messages, request.parameters, vendor)


def command(model: str) -> Write:
    return lambda request: cohere.write_request(model, request.messages, request.parameters, stream=False)


def claude(request: anthropic.MessagesRequest) -> dict[str, Any]:
    return anthropic.write_request("claude-opus-5", request.messages, request.parameters)


def mistrals(request: anthropic.MessagesRequest) -> dict[str, Any]:
    return mistral.write_request("mistral-small-latest", request.messages, request.parameters)


def local(request: anthropic.MessagesRequest) -> dict[str, Any]:
    return ollama.write_request("qwen3", request.messages, request.parameters, {}, stream=False)


DISABLED = {"type": "disabled"}
claude_on_bedrock = aws("anthropic")
CASES: list[tuple[Write, dict[str, Any]]] = [
    (claude, {"thinking": DISABLED}),
    (chat("gpt-5.1"), {"reasoning_effort": "none"}),
    (chat("openai/gpt-5.4-mini-2026-03-17"), {"reasoning_effort": "none"}),
    (chat("gpt-5-nano"), {"reasoning_effort": "minimal"}),
    *((chat(model), {}) for model in ("gpt-4o", "o3", "gpt-5-pro", "gpt-5.1-codex", "gpt-5.2-chat-latest", "grok-4")),
    (response("gpt-5.2"), {"reasoning": {"effort": "none"}}),
    (response("gpt-4o"), {}),
    (google("gemini-2.5-flash-lite"), {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
    (google("gemini-3-pro"), {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}),
    *((google(model), {}) for model in ("gemini-2.5-pro", "gemini-2.0-flash", "gemini-3-pro-image", "gemma-3-27b-it")),
    (claude_on_bedrock, {"additionalModelRequestFields": {"thinking": DISABLED}}),
    (aws("amazon"), {}),
    (mistrals, {}),
    (command("command-a-reasoning-08-2025"), {"thinking": DISABLED}),
    (command("command-a-03-2025"), {}),
    (local, {"think": False}),
]


@pytest.mark.parametrize(("write", "said"), CASES)
def test_it_is_said_where_the_model_has_a_word_for_it(write: Write, said: dict[str, Any]) -> None:
    usual, told = write(asked()), write(asked(thinking=DISABLED))

    assert told == _merged(usual, said)


def _merged(usual: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    merged = dict(usual)
    for name, value in said.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return merged


@pytest.mark.parametrize("write", [write for write, _ in CASES if write not in (claude, claude_on_bedrock)])
def test_an_effort_beside_it_is_not_one_of_thought(write: Write) -> None:
    """Elsewhere than at Claude, where it is also one of talk, it would have the model think."""
    assert write(asked(thinking=DISABLED, output_config={"effort": "high"})) == write(asked(thinking=DISABLED))


def test_claude_is_told_both() -> None:
    request = asked(thinking=DISABLED, output_config={"effort": "high"})

    assert claude(request)["output_config"] == {"effort": "high"}
    assert claude_on_bedrock(request)["outputConfig"] == {"effort": "high"}
