"""How much the model shall think, both ways.

Format: https://platform.claude.com/docs/en/build-with-claude/thinking (``thinking``).
"""

from send2llm.domain.completion import Parameters
from send2llm.domain.message import JsonObject
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, optional_integer, optional_object

LEAST_BUDGET = 1024
"""The smallest budget that Anthropic takes."""


def read_thinking(body: Body, extras: Body) -> int | None:
    """The most tokens of thought, 0 where it is disabled; whatever else was said stays among the ``extras``."""
    thinking = optional_object(body, "thinking")
    if thinking is None:
        return None
    if thinking == {"type": "disabled"}:
        return 0
    try:
        budget = optional_integer(thinking, "budget_tokens") if thinking.get("type") == "enabled" else None
    except WrongFieldError as error:
        raise error.within("thinking") from None
    if budget is None or thinking.keys() != {"type", "budget_tokens"}:
        extras["thinking"] = thinking
    return budget


def write_thinking(body: Body, parameters: Parameters, extras: JsonObject) -> None:
    """Put it into a request that has its ``max_tokens`` already, if it has any.

    A budget has to be smaller than those; where they were cut to what money there is, the budget is cut too.
    """
    budget = parameters.reasoning_tokens
    if budget is None:
        if parameters.reasoning_effort == "none" and "thinking" not in extras:
            body["thinking"] = {"type": "disabled"}
        return
    if budget == 0 and "thinking" not in extras:
        body["thinking"] = {"type": "disabled"}
        return
    limit = body.get("max_tokens", budget + 1) - 1
    if budget > limit >= LEAST_BUDGET:
        budget = limit
    body["thinking"] = {"type": "enabled", **extras.get("thinking", {}), "budget_tokens": budget}
