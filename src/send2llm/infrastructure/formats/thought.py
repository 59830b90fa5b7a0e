"""Callers who want no thought, in formats that say how hard a model shall think."""

from dataclasses import replace

from send2llm.domain.completion import Parameters


def without_thought(parameters: Parameters, effort: str | None) -> Parameters:
    """The parameters with the ``effort`` that comes to no thought, if that is what they want.

    ``None``: the format has no word for it, or not for this model, which then thinks as it does: the answer is one to
    the same question.
    """
    if parameters.reasoning_tokens != 0:
        return parameters
    return replace(parameters, reasoning_effort=effort, reasoning_tokens=None)
