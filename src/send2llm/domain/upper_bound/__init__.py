"""The most that a request can cost: what a hold has to cover before the request may be sent.

An estimate (``send2llm.domain.estimation``) may be wrong in both directions; nothing here may ever be too low.
What cannot be bounded is refused with ``CannotBound``. The reasoning, in the order in which it is needed:

``text_size``       bytes, and so tokens, of a text under every normalisation in use
``image_tokens``    the published rules for pictures
``allowances``      what is not text of the request: marks of templates, hidden prompts, by family of models
``request_fields``  which fields of a request can change its price, and which cannot
``input_tokens``    all of that for a request
``cost``            tokens, times the dearest price that they can meet
"""

from send2llm.domain.errors import CannotBound
from send2llm.domain.upper_bound.allowances import ANY_MODEL, Allowances, allowances_for
from send2llm.domain.upper_bound.cost import (
    UNLIMITED_OUTPUT_TOKENS,
    CostBound,
    FlatRates,
    affordable_output_tokens,
    is_flat,
    most_cost,
    most_output_tokens,
    output_limit,
)
from send2llm.domain.upper_bound.input_tokens import most_input_tokens, most_message_tokens
from send2llm.domain.upper_bound.text_size import most_json_tokens, most_quoted_tokens, most_text_tokens

__all__ = [
    "ANY_MODEL",
    "UNLIMITED_OUTPUT_TOKENS",
    "Allowances",
    "CannotBound",
    "CostBound",
    "FlatRates",
    "affordable_output_tokens",
    "allowances_for",
    "is_flat",
    "most_cost",
    "most_input_tokens",
    "most_json_tokens",
    "most_message_tokens",
    "most_output_tokens",
    "most_quoted_tokens",
    "most_text_tokens",
    "output_limit",
]
