"""The bodies that Send2LLM's own API takes."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from send2llm.domain.budget_period import PeriodKind
from send2llm.domain.budget_plan import DEFAULT_THRESHOLDS
from send2llm.domain.budget_scope import LONGEST_NAME, BudgetScope


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartConversation(_Body):
    """Begin a conversation, with an id and labels of one's own choice if wanted."""

    id: UUID | None = None
    labels: dict[str, str] = Field(default={}, max_length=64)


class SendMessages(_Body):
    """Say something in a conversation and ask ``model`` for an answer.

    Either ``content``, which the user says, or ``messages``, in the shape of OpenAI's chat completions; they are
    added to what was said before, never compared with it.
    """

    model: str
    content: str | list[dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stream: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> "SendMessages":
        if (self.content is None) == (self.messages is None):
            raise ValueError("send either content or messages")
        return self

    def as_chat_completion(self) -> dict[str, Any]:
        """The same request as a body of OpenAI's chat completions."""
        body = self.model_dump(exclude_none=True, exclude={"content", "max_output_tokens"})
        if self.content is not None:
            body["messages"] = [{"role": "user", "content": self.content}]
        if self.max_output_tokens is not None:
            body["max_completion_tokens"] = self.max_output_tokens
        return body


class GiveFeedback(_Body):
    """Judge one answer, or the whole conversation when no ``completion_id`` is given."""

    completion_id: UUID | None = None
    score: Decimal = Field(ge=-1, le=1, max_digits=20, decimal_places=18)  # a database holds no endless fraction
    comment: str = Field(default="", max_length=10_000)


class CloseConversation(_Body):
    """Say that nothing more will come."""

    reason: str = Field(default="", max_length=1_000)


# Checked by the domain; here they are only described.
Name = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"^[!-~]+$"})
]
ProviderName = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"^[!-.0-~]+$"})
]


class Scope(_Body):
    """Which calls a budget pays for; nothing named: all of them."""

    provider: ProviderName | None = None
    model: Name | None = None
    tenant: Name | None = None
    actor: Name | None = None

    def domain(self) -> BudgetScope:
        """The same in the words of the domain."""
        return BudgetScope(self.provider, self.model, self.tenant, self.actor)


_AMOUNT = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)")


def _exact(value: object) -> object:
    """A number of JSON is read as a binary float; its shortest spelling is what was written."""
    if isinstance(value, float):
        return str(value)
    if isinstance(value, bool) or (isinstance(value, str) and not _AMOUNT.fullmatch(value)):
        raise ValueError("an amount is written in plain decimal digits, such as 12.50")
    return value


Usd = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(allow_inf_nan=False, max_digits=30),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1e15},
                {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,12})?$"},
            ],
            "description": "US dollars; more than 0, and at most 12 decimal places.",
        }
    ),
]
Thresholds = list[Annotated[StrictInt, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})]]


class DefineBudget(_Body):
    """In each period, the calls in the scope may cost so much."""

    scope: Scope = Scope()
    limit_usd: Usd
    period: PeriodKind = "month"
    time_zone: str = "UTC"
    carry_over: StrictBool = False
    thresholds: Thresholds = list(DEFAULT_THRESHOLDS)


class ChangeBudget(_Body):
    """What shall be different from now on."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    limit_usd: Usd | SkipJsonSchema[None] = None
    carry_over: StrictBool | SkipJsonSchema[None] = None
    thresholds: Thresholds | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _something(self) -> "ChangeBudget":
        fields = ", ".join(type(self).model_fields)
        if not self.model_fields_set:
            raise ValueError(f"there is nothing to change; give one of {fields}")
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave out what shall stay")
        return self


class RetireBudget(_Body):
    """Limit nothing any more."""

    reason: str = Field(default="", max_length=1_000)


Moment = int | datetime
"""A version of a conversation, or a time."""
