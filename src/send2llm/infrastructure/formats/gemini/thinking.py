"""How much a model shall think: ``thinkingConfig``.

Format: https://ai.google.dev/gemini-api/docs/thinking. Models since Gemini 3 take a level, older ones a budget of
tokens; the budgets that stand for levels are Google's own (https://ai.google.dev/gemini-api/docs/openai). Whoever says
how much to think gets to see the thoughts.
"""

from collections.abc import Mapping

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.infrastructure.formats.fields import Body, optional_integer, optional_string
from send2llm.infrastructure.formats.foreign import cannot_say
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.target import Target

_LEVELS = frozenset({"minimal", "low", "medium", "high", "xhigh"})
_BUDGETS: Mapping[str, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def write_thinking(parameters: Parameters, target: Target) -> Body:
    """The fields of ``thinkingConfig``; raises ``RequestRejected``."""
    effort, tokens = parameters.reasoning_effort, parameters.reasoning_tokens
    if tokens == 0 and parameters.format != FORMAT:
        return _least(target)
    if effort is not None and tokens is not None:
        raise RequestRejected("Gemini takes either reasoning_effort or a number of reasoning tokens; send one of them.")
    if effort is not None and not target.is_before_gemini_3:
        if effort not in _LEVELS:
            raise cannot_say(f"reasoning_effort ({effort[:40]})", FORMAT)
        return {"thinkingLevel": effort.upper(), "includeThoughts": True}
    if effort is not None:
        if effort not in _BUDGETS:
            raise cannot_say(f"reasoning_effort ({effort[:40]}, for a model before Gemini 3)", FORMAT)
        tokens = _BUDGETS[effort]
    if tokens is None:
        return {}
    return {"thinkingBudget": tokens, "includeThoughts": True} if tokens else {"thinkingBudget": 0}


def _least(target: Target) -> Body:
    """As little thought as the model can do with; nothing is said to those that do not know the words."""
    if target.is_before_gemini_3:
        return {"thinkingBudget": 0} if "gemini-2.5-flash" in target.model else {}
    thinks = "gemini-" in target.model and "image" not in target.model
    return {"thinkingLevel": "LOW"} if thinks else {}


def read_thinking(config: Body) -> tuple[str | None, int | None, Body]:
    """The effort, the tokens, and the fields that these do not bring back; raises ``WrongFieldError``."""
    level, budget = optional_string(config, "thinkingLevel"), optional_integer(config, "thinkingBudget")
    effort = level.lower() if level else None
    if (budget is not None and budget < 0) or (effort is not None and effort not in _LEVELS):
        return None, None, config  # -1 means as much as the model likes, which no number of ours does
    rest = {name: value for name, value in config.items() if name not in ("thinkingLevel", "thinkingBudget")}
    if effort is not None or budget:
        rest.setdefault("includeThoughts", False)  # which is what leaving it out means
        if rest["includeThoughts"] is True:
            del rest["includeThoughts"]
    return effort, budget, rest
