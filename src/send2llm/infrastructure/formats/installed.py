"""Formats that callers may speak, found by their entry points in the group ``send2llm.formats``.

The entry point leads to a class that makes a ``CallerFormat`` without arguments.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.formats.caller_format import CallerFormat

GROUP = "send2llm.formats"


def installed_formats() -> Sequence[CallerFormat]:
    """All of them; raises ``ConfigurationError`` for one that cannot be loaded, or whose path is another's."""
    formats: list[CallerFormat] = []
    taken: dict[str, str] = {}
    for found in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        try:
            made: CallerFormat = found.load()()
        except Exception as error:  # a package of somebody's: whatever it raises, its name is what helps
            raise ConfigurationError(
                f"The format {found.name!r} cannot be loaded from {found.value} ({type(error).__name__}: {error})."
            ) from error
        for path in made.paths:
            if path in taken:
                raise ConfigurationError(f"The formats {taken[path]!r} and {found.name!r} both want the path {path}.")
            taken[path] = found.name
        formats.append(made)
    return formats
