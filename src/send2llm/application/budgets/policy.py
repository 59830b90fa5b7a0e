"""How budgets are kept, where there is a choice."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """Times are seconds.

    ``allowance``: how long money is lent before others may take it back; a living holder renews in time.
    ``idle``: money that was not needed for so long goes home unasked. ``recall``: the longest that a call waits for
    idle money of other processes before it is refused. ``output_tokens``: what each answer may have when the
    caller sets no limit; ``least_output_tokens``: a call that could not have so many is refused rather than cut.
    ``unknown_price``: what becomes of a call under a budget to a model whose price nobody knows; allowed, it is sent
    and no budget counts it. ``free_fields``: fields of requests that cost nothing, beyond those that are known.
    """

    allowance: float = 60.0
    idle: float = 5.0
    recall: float = 2.0
    output_tokens: int = 4096
    least_output_tokens: int = 16
    unknown_price: Literal["refuse", "allow"] = "refuse"
    free_fields: frozenset[str] = field(default_factory=frozenset)
