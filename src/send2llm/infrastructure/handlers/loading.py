"""Finds handlers by their entry points, and makes them."""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from send2llm.application.handler_chain import refuse_wrong_order
from send2llm.application.handlers import Handler
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.handlers.options import nearest

GROUP = "send2llm.handlers"


def load_handlers(names: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> Sequence[Handler]:
    """The handlers of these names in this order; raises ``ConfigurationError`` for what is not there or not right."""
    offered = {point.name: point for point in entry_points(group=GROUP)}
    for name in options:
        if name not in names:
            raise ConfigurationError(
                f"[handler_options.{name}] is for a handler that the setting handlers does not list. "
                f"{nearest(name, names)}"
            )
    handlers = [_made(name, offered, options.get(name, {})) for name in names]
    refuse_wrong_order(handlers)
    return handlers


def _made(name: str, offered: Mapping[str, EntryPoint], options: Mapping[str, Any]) -> Handler:
    if name not in offered:
        raise ConfigurationError(
            f"handlers: there is no handler {name}. {nearest(name, offered)} Handlers of your own are found when the "
            f"package that offers them as entry points of the group {GROUP} is installed beside Send2LLM."
        )
    try:
        handler = offered[name].load()(options)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a foreign package does when it is loaded: a name helps more than a traceback
        raise ConfigurationError(f"The handler {name} ({offered[name].value}) cannot be made: {error!r}") from error
    if not isinstance(handler, Handler):
        raise ConfigurationError(f"The handler {name} ({offered[name].value}) is no send2llm.handlers.Handler.")
    return handler
