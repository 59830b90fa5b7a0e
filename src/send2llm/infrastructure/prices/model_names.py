"""Whether a match in the catalogue is certain enough to charge by it."""

import re
from collections.abc import Iterator

from genai_prices import types

from send2llm.infrastructure.prices.bedrock_names import is_named

_VERSION = re.compile(
    r"(?:[-@:.](?:latest|preview|exp|v\d+(?::\d+)?|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{8}|\d{6}|\d{3,4}))+"
)
FINE_TUNED = "ft:"


def is_certain(name: str, model: types.ModelInfo) -> bool:
    """Whether ``name`` means the catalogue's ``model``, and not another that begins alike.

    The catalogue also matches by prefixes, so that a new model would get the price of an old one. Certain are: a
    name that the catalogue spells out; one with nothing but dates and versions after such a name or prefix
    (``-2025-08-07``, ``-0613``, ``-001``, ``-latest``, ``-preview-05-06``); what follows the name of a model in the
    names of its fine-tuned offspring (``ft:gpt-4o-2024-08-06:org::id``); and what stands around it on Bedrock.
    """
    name = name.lower()
    spelled = {model.id.lower(), *_literals(model.match, types.ClauseEquals)}
    if name in spelled:
        return True
    prefixes = set(_literals(model.match, types.ClauseStartsWith))
    if name.startswith(FINE_TUNED):
        return any(prefix.startswith(FINE_TUNED) and name.startswith(prefix) for prefix in prefixes)
    stems = spelled | {prefix.rstrip("-") for prefix in prefixes}
    if any(name.startswith(stem) and _VERSION.fullmatch(name, len(stem)) for stem in stems):
        return True
    return any(is_named(name, part) for part in _literals(model.match, types.ClauseContains))


def _literals(match: object, kind: type) -> Iterator[str]:
    """The names, or prefixes, that are enough for a match by themselves."""
    if isinstance(match, types.ClauseOr):
        for clause in match.or_:
            yield from _literals(clause, kind)
    elif kind is types.ClauseEquals and isinstance(match, types.ClauseEquals):
        yield match.equals.lower()
    elif kind is types.ClauseStartsWith and isinstance(match, types.ClauseStartsWith):
        yield match.starts_with.lower()
    elif kind is types.ClauseContains and isinstance(match, types.ClauseContains):
        yield match.contains.lower()
