"""Token counts as Anthropic reports them.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance: ``input_tokens`` are
only those behind the last cache breakpoint; all that was read is the sum of three.
"""

from typing import Any

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body

MOST_TOKENS = 10**12
"""A report of more tokens in one call is a mistake, and counts as none."""


def read_usage(body: object) -> Usage | None:
    """The reported usage, ``None`` if there is none that makes sense."""
    if not isinstance(body, dict):
        return None
    fresh, read = _count(body, "input_tokens"), _count(body, "cache_read_input_tokens")
    written = _count(body, "cache_creation_input_tokens")
    output = _count(body, "output_tokens")
    if not (fresh or read or written or output):
        return None
    by_duration, details = body.get("cache_creation"), body.get("output_tokens_details")
    for_an_hour = _count(by_duration, "ephemeral_1h_input_tokens") if isinstance(by_duration, dict) else 0
    thought = _count(details, "thinking_tokens") if isinstance(details, dict) else 0
    return Usage(
        input_tokens=fresh + read + written,
        output_tokens=output,
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=min(for_an_hour, written),
        reasoning_output_tokens=min(thought, output),
    )


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0


def write_usage(usage: Usage | None) -> Body:
    """The ``usage`` of a reply; Anthropic's has one always."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    read, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    body: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
    }
    if written:
        hour = usage.cache_write_1h_input_tokens
        body["cache_creation"] = {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour}
    if usage.reasoning_output_tokens:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_output_tokens}
    return body
