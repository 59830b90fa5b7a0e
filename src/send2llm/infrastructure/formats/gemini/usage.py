"""Token counts, as Gemini reports them.

Format: https://ai.google.dev/api/generate-content#UsageMetadata. Thoughts are counted beside the candidates, and what
tools of Google's own read beside the prompt; ``totalTokenCount`` is the sum of all four. Cached tokens are part of the
prompt's.
"""

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body

MOST_TOKENS = 10**12
"""A report of more tokens in one call is a mistake, and counts as none."""


def read_usage(body: object) -> Usage | None:
    """The reported usage, ``None`` if there is none that makes sense.

    Tokens that count into the total only are output: that is what costs most.
    """
    if not isinstance(body, dict):
        return None
    prompt = _count(body, "promptTokenCount") + _count(body, "toolUsePromptTokenCount")
    thoughts = _count(body, "thoughtsTokenCount")
    output = max(_count(body, "candidatesTokenCount") + thoughts, _count(body, "totalTokenCount") - prompt)
    if not prompt and not output:
        return None
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_input_tokens=min(_count(body, "cachedContentTokenCount"), prompt),
        reasoning_output_tokens=thoughts,
    )


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if type(value) is int and 0 < value <= MOST_TOKENS else 0


def write_usage(usage: Usage) -> Body:
    """The ``usageMetadata`` of a reply."""
    body = {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cache_read_input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_output_tokens,
        "thoughtsTokenCount": usage.reasoning_output_tokens,
    }
    counted = {name: count for name, count in body.items() if count}
    return {**counted, "totalTokenCount": usage.input_tokens + usage.output_tokens}
