"""The bodies that Send2LLM's own API takes."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

from send2llm.domain.budget_period import PeriodKind
from send2llm.domain.budget_plan import DEFAULT_THRESHOLDS
from send2llm.domain.budget_scope import LONGEST_NAME, BudgetScope
from send2llm.domain.prompt_template_events import VariableType
from send2llm.interfaces.http.labels import MOST_LABELS
from send2llm.interfaces.http.numbers import Percent, Score, Usd


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartConversation(_Body):
    """Begin a conversation, with an id and labels of one's own choice if wanted."""

    id: UUID | None = None
    labels: dict[str, str] = Field(default={}, max_length=MOST_LABELS)


class UsePrompt(_Body):
    """Put the messages of a prompt template before those that are sent."""

    id: str
    version: str | int | None = None
    variables: dict[str, str | bool | int | float] | None = None


class SendMessages(_Body):
    """Say something in a conversation and ask ``model`` for an answer.

    Either ``content``, which the user says, or ``messages``, in the shape of OpenAI's chat completions; they are
    added to what was said before, never compared with it.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["content"]}, {"required": ["messages"]}]})

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
    prompt: UsePrompt | None = None
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
    score: Score
    comment: str = Field(default="", max_length=10_000)


class CloseConversation(_Body):
    """Say that nothing more will come."""

    reason: str = Field(default="", max_length=1_000)


class EraseConversation(_Body):
    """Give up what was said."""

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


class DefineBudget(_Body):
    """In each period, the calls in the scope may cost so much."""

    scope: Scope = Scope()
    limit_usd: Usd
    period: PeriodKind = "month"
    time_zone: str = "UTC"
    carry_over: StrictBool = False
    thresholds: list[Percent] = list(DEFAULT_THRESHOLDS)


def _without_null(schema: dict[str, Any]) -> None:
    """Fields may be left out, and that is not the same as null."""
    for field in schema["properties"].values():
        field.pop("default", None)
        for kind in field.pop("anyOf"):
            if kind != {"type": "null"}:
                field.update(kind)


class ChangeBudget(_Body):
    """What shall be different from now on."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    limit_usd: Usd | None = None
    carry_over: StrictBool | None = None
    thresholds: list[Percent] | None = None

    @model_validator(mode="after")
    def _something(self) -> "ChangeBudget":
        if not self.model_fields_set:
            raise ValueError(f"there is nothing to change; give one of {', '.join(type(self).model_fields)}")
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave out what shall stay")
        return self


class RetireBudget(_Body):
    """Limit nothing any more."""

    reason: str = Field(default="", max_length=1_000)


class PromptMessage(_Body):
    """A message of a template; ``{{name}}`` is the place of a variable."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=1_000_000)


class SetTemplate(_Body):
    """A version of a prompt template; variables that are not listed are texts."""

    messages: list[PromptMessage]
    variables: dict[str, VariableType] = {}


class RetireTemplate(_Body):
    """Let no request use the template any more."""

    reason: str = Field(default="", max_length=1_000)


Moment = int | datetime
"""A version of a conversation, or a time."""


class VerifyLog(_Body):
    """Whom to trust, and what was kept elsewhere.

    ``public_keys`` are those that may have sealed, in hexadecimal or base64; ``kept`` are seals as ``/api/audit/seals``
    gives them.
    """

    public_keys: list[str] = Field(default=[], max_length=100)
    kept: list[dict[str, Any]] = Field(default=[], max_length=1000)
