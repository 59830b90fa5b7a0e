"""Token counts of Cohere.

Sources: https://docs.cohere.com/v2/reference/chat (``usage``) and
https://docs.cohere.com/v2/docs/how-does-cohere-pricing-work: prices apply to ``billed_units``. ``tokens`` count what
Cohere itself puts into the prompt, too, and are taken where nothing is said to be billed, as on one's own servers.
"""

from typing import Any

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.openai_chat.usage import MOST_TOKENS


def read_usage(body: Any) -> Usage | None:
    """The usage of an answer, or in the ``meta`` of embeddings; ``None`` if there is none that makes sense."""
    if not isinstance(body, dict):
        return None
    for name in ("billed_units", "tokens"):
        counts = body.get(name)
        if not isinstance(counts, dict):
            continue
        read, written = _count(counts.get("input_tokens")), _count(counts.get("output_tokens"))
        if read or written:
            cached = min(_count(body.get("cached_tokens")), read)
            return Usage(read, written, cache_read_input_tokens=cached)
    return None


def _count(value: Any) -> int:
    """Counts may come with a decimal point."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS
    return int(value) if whole and value == int(value) else 0
