"""How much of a transcript a model can take."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps

from send2llm.domain.completion import Parameters
from send2llm.domain.estimation import estimate_tokens
from send2llm.handlers import Exchange, Outgoing


@dataclass(frozen=True, slots=True)
class Limit:
    """Tokens: of the ``window``, so many for the ``messages``."""

    window: int
    messages: int


def limit_for(
    outgoing: Outgoing, exchange: Exchange, windows: Mapping[str, int], answer_tokens: int, filled: float
) -> Limit | None:
    """What the smallest window among the candidates leaves; ``None`` when no window is known.

    Any of the candidates may come to be asked, and what is sent was paid for, and recorded, before that is known.
    """
    known = [
        window
        for candidate in outgoing.candidates
        if (
            window := windows.get(f"{candidate.provider}/{candidate.model}")
            or exchange.context_window(candidate.provider, candidate.model)
        )
    ]
    if not known:
        return None
    window = min(known)
    wanted = outgoing.parameters.max_output_tokens or answer_tokens
    return Limit(window, max(0, int(window * filled) - wanted - _tool_tokens(outgoing.parameters)))


def _tool_tokens(parameters: Parameters) -> int:
    return estimate_tokens(dumps(parameters.tools, default=dict)) if parameters.tools else 0
