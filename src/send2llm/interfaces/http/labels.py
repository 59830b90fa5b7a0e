"""Labels of conversations in a header and in queries."""

from collections.abc import Iterable
from urllib.parse import unquote

from send2llm.domain.errors import InvalidRequest

LABELS_HEADER = b"x-send2llm-labels"
MOST_LABELS = 64


def read_labels(value: bytes) -> dict[str, str]:
    """The labels of a header: ``name=value``, separated by commas, percent-encoded where need be.

    That is how W3C Baggage writes pairs, https://www.w3.org/TR/baggage/. Raises ``InvalidRequest``.
    """
    try:
        return named_labels(value.decode("ascii").split(","))
    except UnicodeDecodeError:
        raise InvalidRequest("x-send2llm-labels has ASCII characters alone; percent-encode others.") from None


def named_labels(pairs: Iterable[str], *, encoded: bool = True) -> dict[str, str]:
    """The labels in ``name=value`` pairs; raises ``InvalidRequest``."""
    labels: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name, value = name.strip(), value.strip()
        if encoded:
            name, value = unquote(name), unquote(value)
        if not name or not equals:
            raise InvalidRequest(f"A label is written name=value; {pair[:80]!r} is not.", param="label")
        labels[name] = value
    if len(labels) > MOST_LABELS:
        raise InvalidRequest(f"There are at most {MOST_LABELS} labels.", param="label")
    return labels
