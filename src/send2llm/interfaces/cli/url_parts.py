"""Words of the user in addresses."""

from urllib.parse import quote


def url_part(word: str) -> str:
    """The word as one part of a path, whatever is in it: no id and no name reaches another address."""
    return quote(word, safe="")
