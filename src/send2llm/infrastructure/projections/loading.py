"""Projections of people's own: from a folder, a module, or an installed package (entry points)."""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module, util
from importlib.metadata import entry_points
from pathlib import Path

from send2llm.application.projections import Projection
from send2llm.domain.errors import ConfigurationError

GROUP = "send2llm.projections"


def own_projections(places: Sequence[str]) -> Sequence[Projection]:
    """Those of installed packages, then those at the ``places``: ``module:Class``, or a folder of Python files.

    Raises ``ConfigurationError`` for what cannot be loaded, and for two of the same name and version.
    """
    found = [*_installed(), *(projection for place in places for projection in _at(place))]
    keys: set[tuple[str, int]] = set()
    for projection in found:
        key = (projection.name, projection.version)
        if key in keys:
            raise ConfigurationError(
                f"Two projections are called {projection.name}, version {projection.version}; rename one of them, or "
                "raise its version."
            )
        keys.add(key)
    return found


def _installed() -> Iterator[Projection]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            made = entry.load()()
        except Exception as error:  # a package of somebody's: whatever it raises, its name is what helps
            raise _cannot_load(entry.value, error) from error
        yield _checked(made, entry.value)


def _at(place: str) -> Iterator[Projection]:
    folder = Path(place)
    if folder.is_dir():
        yield from _in_folder(folder)
        return
    module, _, name = place.partition(":")
    try:
        made = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise _cannot_load(place, error) from error
    yield _checked(made, place)


def _in_folder(folder: Path) -> Iterator[Projection]:
    """Every class in its files that is a projection; tests are not looked at."""
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith(("test_", "_")):
            continue
        for kind in vars(_module(file)).values():
            if isinstance(kind, type) and kind.__module__ == _name_of(file) and hasattr(kind, "fold"):
                yield _checked(kind(), f"{file}:{kind.__name__}")


def _module(file: Path) -> object:
    spec = util.spec_from_file_location(_name_of(file), file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python file.")
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for what looks classes up by their module's name
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # anybody's code
        raise _cannot_load(str(file), error) from error
    return module


def _name_of(file: Path) -> str:
    return f"send2llm_own_projections.{file.stem}"


def _checked(made: object, place: str) -> Projection:
    if not isinstance(made, Projection):
        raise ConfigurationError(f"{place!r} is no projection: it needs name, version, topics, tables and fold.")
    return made


def _cannot_load(place: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The projection {place!r} cannot be loaded ({error}). Write it as module:Class, with the module installed "
        "beside Send2LLM, or name a folder of Python files."
    )
