"""What one format says and another cannot: what says nothing is no reason to refuse a request."""

import pytest

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.infrastructure.formats.foreign import refuse_fields, refuse_foreign_fields

USUAL = [
    ("openai", "logprobs", False, True),
    ("openai", "logit_bias", {}, {"7": 1}),
    ("openai", "modalities", ["text"], ["text", "audio"]),
    ("responses", "top_logprobs", 0, 2),
    ("anthropic", "mcp_servers", [], [{"name": "m"}]),
    ("anthropic", "speed", "standard", "fast"),
]


@pytest.mark.parametrize(("format_", "field", "usual", "other"), USUAL, ids=str)
def test_a_field_that_says_what_is_meant_anyway_is_not_refused(
    format_: str, field: str, usual: object, other: object
) -> None:
    refuse_foreign_fields(Parameters(extras={field: usual}, format=format_), "bedrock")
    with pytest.raises(RequestRejected, match=field):
        refuse_foreign_fields(Parameters(extras={field: other}, format=format_), "bedrock")


@pytest.mark.parametrize(
    ("field", "usual", "other"), [("choices", 1, 2), ("presence_penalty", 0.0, 0.5), ("frequency_penalty", 0, -1)]
)
def test_a_parameter_that_says_what_is_meant_anyway_is_not_refused(field: str, usual: object, other: object) -> None:
    refuse_fields(Parameters(**{field: usual}), "bedrock", field)  # type: ignore[arg-type]
    with pytest.raises(RequestRejected):
        refuse_fields(Parameters(**{field: other}), "bedrock", field)  # type: ignore[arg-type]
