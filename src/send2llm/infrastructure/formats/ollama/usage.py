"""Token counts of Ollama: ``prompt_eval_count`` and ``eval_count``.

Source: https://docs.ollama.com/api/usage. What it kept from an earlier call may be missing in the first of them.
"""

from send2llm.domain.completion import Usage
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat.usage import MOST_TOKENS


def read_usage(body: Body) -> Usage | None:
    """The usage in a reply or in the last line of a stream, ``None`` if there is none that makes sense."""
    read, written = _count(body, "prompt_eval_count"), _count(body, "eval_count")
    return Usage(read, written) if read or written else None


def _count(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else 0
