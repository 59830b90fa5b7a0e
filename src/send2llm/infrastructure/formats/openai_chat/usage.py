"""Token counts and costs, as OpenAI and the many servers that follow it report them."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body

MOST_TOKENS = 10**12
"""A report of more tokens in one call is a mistake, and counts as none."""

MOST_USD = 10**6
"""So is a report of more dollars for one call."""


def read_usage(body: object) -> Usage | None:
    """The reported usage, ``None`` if there is none that makes sense.

    Tokens that count into the total but neither as prompt nor as completion are output: some servers (xAI,
    Google) leave the reasoning out of ``completion_tokens``, and charge for it.
    """
    if not isinstance(body, dict):
        return None
    input_tokens, output_tokens = _count(body, "prompt_tokens"), _count(body, "completion_tokens")
    total = _count(body, "total_tokens")
    if not input_tokens and not output_tokens and not total:
        return None
    read = write = reasoning = 0
    details = body.get("prompt_tokens_details")
    if isinstance(details, dict):
        read, write = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    elif "prompt_cache_hit_tokens" in body:  # DeepSeek
        read = _count(body, "prompt_cache_hit_tokens")
    details = body.get("completion_tokens_details")
    if isinstance(details, dict):
        reasoning = _count(details, "reasoning_tokens")
    output_tokens = max(output_tokens, total - input_tokens)
    read = min(read, input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=read,
        cache_write_input_tokens=min(write, input_tokens - read),
        reasoning_output_tokens=min(reasoning, output_tokens),
    )


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and 0 < value <= MOST_TOKENS else 0


def write_usage(usage: Usage) -> Body:
    """The ``usage`` of a reply."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
    }


def read_cost(usage: object, data: bytes) -> Decimal | None:
    """The cost in USD that OpenRouter (``usage.cost``) and Perplexity (``usage.cost.total_cost``) report.

    ``data`` is the JSON text that ``usage`` was parsed from: it is parsed once more, because a cost that
    has been a float is no longer the one that was reported.
    """
    if not isinstance(usage, dict) or usage.get("cost") is None:
        return None
    cost: Any = json.loads(data, parse_float=Decimal)["usage"]["cost"]
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, bool) or not isinstance(cost, int | str | Decimal):
        return None
    try:
        amount = Decimal(cost)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MOST_USD else None
