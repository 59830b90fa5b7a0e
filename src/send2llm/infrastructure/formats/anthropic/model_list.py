"""Lists of models in Anthropic's shape, which come in pages.

https://platform.claude.com/docs/en/api/models/list
"""

from collections.abc import Sequence

from send2llm.infrastructure.formats.fields import Body

USUAL_PAGE = 20
LARGEST_PAGE = 1000

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""Anthropic's own word for a date that it does not know."""


def write_model(name: str) -> Body:
    """One model, of which no more is known than its name."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
    }


def write_page(
    names: Sequence[str], *, limit: int = USUAL_PAGE, after: str | None = None, before: str | None = None
) -> Body:
    """At most ``limit`` models ``after`` one, or just ``before`` one; a name that is not there is no bound."""
    start, end = 0, len(names)
    if after in names:
        start = names.index(after) + 1
    if before in names:
        end = names.index(before)
        start = max(start, end - limit)
    page = names[start:end][:limit]
    more = start > 0 if before in names else start + len(page) < end
    return {
        "data": [write_model(name) for name in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
