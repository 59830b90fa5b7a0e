"""Token counts of OpenAI's responses: ``usage`` of https://platform.openai.com/docs/api-reference/responses/object."""

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat.usage import MOST_TOKENS


def read_usage(body: object) -> Usage | None:
    """The reported usage, ``None`` if there is none that makes sense."""
    if not isinstance(body, dict):
        return None
    input_tokens, output_tokens = _count(body, "input_tokens"), _count(body, "output_tokens")
    total = _count(body, "total_tokens")
    if not input_tokens and not output_tokens and not total:
        return None
    output_tokens = max(output_tokens, total - input_tokens)
    given, written = body.get("input_tokens_details"), body.get("output_tokens_details")
    read = min(_count(given, "cached_tokens"), input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=read,
        cache_write_input_tokens=min(_count(given, "cache_write_tokens"), input_tokens - read),
        reasoning_output_tokens=min(_count(written, "reasoning_tokens"), output_tokens),
    )


def _count(body: object, name: str) -> int:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, int) and 0 < value <= MOST_TOKENS else 0


def write_usage(usage: Usage) -> Body:
    """The ``usage`` of a response."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_write_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
