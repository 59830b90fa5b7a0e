"""Which families of providers are installed, without loading any of them."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

GROUP = "send2llm.providers"


@cache
def installed() -> dict[str, EntryPoint]:
    """The entry points of the group ``send2llm.providers`` by name."""
    return {found.name: found for found in entry_points(group=GROUP)}


def family_names() -> Sequence[str]:
    """The names of all families that are installed."""
    return sorted(installed())
