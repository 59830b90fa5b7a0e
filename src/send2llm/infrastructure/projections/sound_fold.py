"""Whether a fold can be called as it will be: one that cannot, or that would only begin, would fold nothing."""

import inspect
from collections.abc import Callable

_ONLY_BEGIN: tuple[Callable[[object], bool], ...] = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)


def fault_of_fold(fold: object) -> str:
    """What is wrong with it, empty if nothing is."""
    if not callable(fold):
        return f"its fold is {fold!r:.100}; write def fold(self, events, connection)."
    if any(begins(one) for begins in _ONLY_BEGIN for one in (fold, fold.__call__)):
        return "its fold is async or a generator, of which a call does nothing; write a plain def, without yield."
    try:
        signature = inspect.signature(fold)
    except ValueError:  # some that are written in C tell nothing
        return ""
    try:
        signature.bind([], None)
    except TypeError:
        return f"its fold is called with (events, connection), and takes {signature}."
    return ""
