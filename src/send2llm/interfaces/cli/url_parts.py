"""Words of the user in addresses."""

from urllib.parse import quote

from send2llm.interfaces.cli.errors import CommandFailed


def url_part(word: str) -> str:
    """The word as one part of a path: no id and no name reaches another address.

    Raises ``CommandFailed`` for one with a slash, which servers take for the end of a part however it is written.
    """
    if "/" in word:
        raise CommandFailed(f"{word[:60]} is no id and no name, for these have no slash; look for a slip in it.")
    return quote(word, safe="")
