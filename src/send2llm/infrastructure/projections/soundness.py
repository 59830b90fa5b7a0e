"""What a projection of somebody's must be before it is run: what is wrong is told at the start, not by tables."""

import re
from collections.abc import Collection

from send2llm.application.projections import Projection
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.handlers.options import nearest
from send2llm.infrastructure.projections.sound_fold import fault_of_fold
from send2llm.infrastructure.projections.sound_tables import fault_of_tables

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 40  # characters; a version and a table's name follow it in names of PostgreSQL
_LAST_VERSION = 2**31 - 1  # a PostgreSQL integer
_PARTS = ("name", "version", "topics", "tables", "fold")


def checked(made: object, place: str) -> Projection:
    """The projection that was made from a ``place``; raises ``ConfigurationError`` if it cannot be run as it is."""
    missing = [part for part in _PARTS if not hasattr(made, part)]
    if missing or not isinstance(made, Projection):
        raise ConfigurationError(f"{place!r} is no projection: it has no {', '.join(missing) or 'fold'}.")
    fault = _fault_of_name(made) or _fault_of_topics(made.topics) or fault_of_tables(made) or fault_of_fold(made.fold)
    if fault:
        raise ConfigurationError(f"The projection {place!r} cannot be run: {fault}")
    return made


def fault_of_name(name: object) -> str:
    """Why tables and commands cannot bear it, empty if they can."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return "use lower case words joined by underscores."
    if len(name) > _LONGEST_NAME:
        return f"it has {len(name)} characters, and {_LONGEST_NAME} are the most."
    return ""


def _fault_of_name(made: Projection) -> str:
    fault = fault_of_name(made.name)
    if fault:
        return f"its name is {made.name!r:.100}; {fault}"
    if type(made.version) is not int or not 1 <= made.version <= _LAST_VERSION:
        return f"its version is {made.version!r:.100}; use 1, 2 and so on."
    return ""


def _fault_of_topics(topics: object) -> str:
    if isinstance(topics, str):
        return f"its topics are one text; write {{{topics!r}}}."
    if not isinstance(topics, Collection) or not all(isinstance(topic, str) for topic in topics):
        return f"its topics are {topics!r:.100}; write a set of texts, such as {{'conversation.closed'}}."
    known = {event_type.topic for event_type in EventRegistry.default()}
    for topic in topics:
        if topic not in known:
            return f"there are no events of the topic {topic!r}. {nearest(topic, known)}"
    return ""
