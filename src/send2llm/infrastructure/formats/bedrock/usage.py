"""Token counts of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html. Its ``inputTokens`` are
those that neither came from the cache nor went into it
(https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html), so that the three make the prompt. For how
long it is kept is told by ``cacheDetails``
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CacheDetail.html).
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
    return Usage(
        plain + read + write,
        output,
        cache_read_input_tokens=read,
        cache_write_input_tokens=write,
        cache_write_1h_input_tokens=min(write, _kept_for_an_hour(body.get("cacheDetails"))),
    )


def _kept_for_an_hour(details: Any) -> int:
    entries = details if isinstance(details, list) else []
    return sum(_count(one, "inputTokens") for one in entries if isinstance(one, dict) and one.get("ttl") == "1h")


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and 0 < value <= MOST_TOKENS else 0
