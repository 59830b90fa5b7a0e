"""Lists of models in Anthropic's shape, which come in pages.

https://platform.claude.com/docs/en/api/models/list
"""

from collections.abc import Sequence

from send2llm.domain.errors import InvalidRequest
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
    """At most ``limit`` models behind the one called ``after``, or just before the one called ``before``.

    Raises ``InvalidRequest`` for a name that is not among them (any more): to begin anew would never end.
    """
    names = list(dict.fromkeys(names))
    first = 0 if after is None else _place(names, after, "after_id") + 1
    last = len(names) if before is None else _place(names, before, "before_id")
    page = names[first:last][:limit] if before is None else names[first:last][-limit:]
    return {
        "data": [write_model(name) for name in page],
        "has_more": len(page) < last - first,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _place(names: Sequence[str], name: str, field: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise InvalidRequest(
            f"{field}: there is no model {name[:200]!r} in this list. Begin anew, without it.", param=field
        ) from None
