"""Token counts of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html. Its ``inputTokens`` are
those that neither came from the cache nor went into it
(https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html), so that the three make the prompt.
"""

from typing import Any

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat.usage import MOST_TOKENS


def read_usage(body: Any) -> Usage | None:
    """The reported usage, ``None`` if there is none that makes sense."""
    if not isinstance(body, dict):
        return None
    plain, output = _count(body, "inputTokens"), _count(body, "outputTokens")
    read, write = _count(body, "cacheReadInputTokens"), _count(body, "cacheWriteInputTokens")
    if not plain and not output and not read and not write:
        return None
    return Usage(plain + read + write, output, cache_read_input_tokens=read, cache_write_input_tokens=write)


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and 0 < value <= MOST_TOKENS else 0
