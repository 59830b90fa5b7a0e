"""Projections of people's own: from a folder, a module, or an installed package (entry points)."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module, util
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from send2llm.application.projections import Projection
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.projections.shared_names import refuse_shared_names
from send2llm.infrastructure.projections.soundness import checked

GROUP = "send2llm.projections"


def own_projections(places: Sequence[str], *, beside: Sequence[Projection] = ()) -> Sequence[Projection]:
    """Those of installed packages, then those at the ``places``: ``module:Class``, or a folder of Python files.

    Raises ``ConfigurationError`` for what cannot be loaded or run, and for two that share a name, or the name of a
    table or view, with each other or with those that they stand ``beside``.
    """
    found = [*_installed(), *(projection for place in places for projection in _at(place))]
    refuse_shared_names(found, beside)
    return found


def _installed() -> Iterator[Projection]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        yield _made(entry.load, entry.value)


def _at(place: str) -> Iterator[Projection]:
    folder = Path(place)
    if folder.is_dir():
        yield from _in_folder(folder)
        return
    module, _, name = place.partition(":")
    if not name:
        raise ConfigurationError(
            f"The projection {place!r} cannot be loaded: there is no such folder in {Path.cwd()}. Name a folder of "
            "Python files, or write module:Class, with the module installed beside Send2LLM."
        )
    yield _made(lambda: getattr(import_module(module), name), place)


def _in_folder(folder: Path) -> Iterator[Projection]:
    """Every class in its files that is meant to be a projection; tests, and names with a leading _, are passed over."""
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith(("test_", "_")):
            continue
        module = _module(file)
        for name, kind in vars(module).items():
            if isinstance(kind, type) and kind.__module__ == _name_of(file) and _is_meant(kind):
                yield _made(partial(getattr, module, name), f"{file}:{name}")


def _is_meant(kind: type) -> bool:
    return not kind.__name__.startswith("_") and (hasattr(kind, "fold") or hasattr(kind, "topics"))


def _made(load: Callable[[], Any], place: str) -> Projection:
    try:
        made = load()()
    except (Exception, SystemExit) as error:  # anybody's code: whatever it raises, its place is what helps
        raise _cannot_load(place, error) from error
    return checked(made, place)


def _module(file: Path) -> object:
    spec = util.spec_from_file_location(_name_of(file), file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python file.")
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for what looks classes up by their module's name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anybody's code
        raise _cannot_load(str(file), error) from error
    return module


def _name_of(file: Path) -> str:
    return f"send2llm_own_projections.{file.stem}"


def _cannot_load(place: str, error: BaseException) -> ConfigurationError:
    return ConfigurationError(
        f"The projection {place!r} cannot be loaded ({type(error).__name__}: {error}). "
        "Its class is called without arguments."
    )
