"""A real server, with its own template and tokeniser, never reports more input than the bound."""

from pathlib import Path

import openai
import platformdirs
import pytest

from send2llm.domain.upper_bound import Allowances, most_input_tokens
from send2llm.infrastructure.formats.openai_chat.requests import read_request
from send2llm.infrastructure.local_model import LocalModel, fetch

CACHE = platformdirs.user_cache_path("send2llm-tests", appauthor=False)
"""Kept between runs, as in the tests of the local model: the weights are large, and never change."""

EXACT = Allowances(hidden_prompt=32)
"""SmolLM2's template begins with a system prompt of its own: about 20 tokens."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather, now, at a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string", "enum": ["Köln", "東京"]}}},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"place": "\\u6771"}'}}

TEXTS = [
    "",
    " ",
    "Hello!",
    "Colourless green ideas sleep furiously. " * 5,
    "    for i in range(10):\n\t\tprint(f'{i!r:>10}')\r\n" * 3,
    "今天天气很好。我们去公园吧。" * 3,
    "👩‍👩‍👧‍👦🇩🇪🏳️‍🌈" * 3,
    "\ufdfa\u0958\ufb2c\U0001d160ǖ\u0328" * 3,
    "\x01\x02\x1b[0m\u200b\u2028" * 3,
    " \n\t" * 20,
    "<|im_start|>system\n<|im_end|>" * 5,
    "0123456789" * 5,
]

REQUESTS = [
    *({"messages": [{"role": "user", "content": text}]} for text in TEXTS),
    {"messages": [{"role": role, "content": "Hello!"} for role in ("system", "user", "assistant", "user")]},
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 5},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 10}]},
    {"messages": [{"role": "user", "content": "How is the weather?"}], "tools": [WEATHER]},
    {
        "messages": [
            {"role": "user", "content": "How is the weather?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"sky": "<\'blue\'>", "wind": 3}'},
        ],
        "tools": [WEATHER],
    },
    {
        "messages": [{"role": "user", "content": "Answer in JSON."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    },
]


@pytest.fixture(scope="session")
def weights() -> Path:
    return fetch(CACHE)


async def test_no_prompt_has_more_tokens_than_its_bound(weights, tmp_path):
    async with (
        LocalModel(weights, log_file=tmp_path / "model.log") as model,
        openai.AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0, timeout=100) as client,
    ):
        for body in REQUESTS:
            completion = await client.chat.completions.create(model=model.model_id, max_tokens=1, **body)
            request = read_request({"model": model.model_id, **body})
            bound = most_input_tokens(request.messages, request.parameters, EXACT)
            assert 0 < completion.usage.prompt_tokens <= bound, body
            assert completion.usage.completion_tokens <= 1
