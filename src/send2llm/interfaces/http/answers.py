"""What Send2LLM's own API answers, for the OpenAPI document: views make it, and tests hold it against these.

Nothing is validated by these models when it is sent: it would take longer than to make it.
"""

# Longer than 400 lines because whoever asks what the API answers shall find all of it in one place.

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from send2llm.application.budgets.explanation import Figure
from send2llm.application.projections import BuildRole, ProjectionState
from send2llm.application.queries import ConversationState
from send2llm.domain.budget_period import PeriodKind
from send2llm.domain.prompt_template_events import VariableType

Usd = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="US dollars as decimal text.")]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Event(_Answer):
    """Something that happened, with its circumstances."""

    position: int
    stream: str
    version: int
    topic: str
    event_id: UUID
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    tenant: str
    data: dict[str, Any]


class Events(_Answer):
    """Events in their order."""

    data: list[Event]


class Feed(Events):
    """A page of events; `head` is the position of the last one that is stored.

    Whoever goes on after `reached` misses nothing: up to there the log was looked through.
    """

    reached: int
    head: int


class Conversation(_Answer):
    """A conversation without what was said in it."""

    id: UUID
    version: int
    state: ConversationState
    labels: dict[str, str]
    awaited: UUID | None


class ConversationAsOf(Conversation):
    """A conversation with its messages in OpenAI's shape, as it was when the last event had happened."""

    messages: list[dict[str, Any]]
    as_of: datetime
    position: int


class _Report(_Answer):
    """As of when it is; `null` is the present."""

    as_of: datetime | None
    position: int | None


class Completions(_Answer):
    """How many calls, by how they ended."""

    requested: int
    received: int
    failed: int
    interrupted: int
    refused: int
    unpriced: int


class ConversationLine(_Answer):
    """A line of the list; `provider` and `model` are those of the last call."""

    id: UUID
    title: str | None
    state: ConversationState
    version: int
    labels: dict[str, str]
    message_count: int
    completions: Completions
    cost_usd: Usd
    input_tokens: int
    output_tokens: int
    provider: str | None
    model: str | None
    started_at: datetime
    updated_at: datetime


class Conversations(_Report):
    """A page of the list."""

    data: list[ConversationLine]
    next_cursor: str | None


class Usage(_Answer):
    """Tokens as the provider reported them."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    cache_write_1h_input_tokens: int


class Answer(_Answer):
    """The answer to a message; `message` has OpenAI's shape."""

    conversation_id: UUID
    completion_id: UUID
    message: dict[str, Any]
    finish_reason: str
    usage: Usage | None
    cost_usd: Usd | None
    provider: str
    model: str
    attempts: int
    replayed: bool


class BudgetScope(_Answer):
    """Which calls a budget pays for; nothing named: all of them."""

    provider: str = ""
    model: str = ""
    tenant: str = ""
    actor: str = ""


class BudgetPlan(_Answer):
    """What a budget is about and how much it allows; `warnings` tells what is most likely not meant."""

    id: UUID
    scope: BudgetScope
    limit_usd: Usd
    period: PeriodKind
    time_zone: str
    carry_over: bool
    thresholds: list[int]
    retired: bool
    warnings: list[str]


class Running(_Answer):
    """Where a period stands.

    `refused_usd` is what a call needed that was refused for good, the first under this limit. `spent_last_hour_usd` is
    `null` when the past was asked for.
    """

    key: str
    start: datetime | None
    end: datetime | None
    closed: bool
    limit_usd: Usd
    carried_over_usd: Usd
    settled_usd: Usd
    lent_usd: Usd
    held_usd: Usd
    left_usd: Usd
    excess_usd: Usd
    assumed_usd: Usd
    overrun_usd: Usd
    spent_usd: Usd
    spent_last_hour_usd: Usd | None
    exhausted: bool
    refused_usd: Usd | None
    exhausted_at: datetime | None
    thresholds_reached: list[int]


class Budget(BudgetPlan):
    """A budget and one of its periods."""

    running: Running


class BudgetAsOf(Budget, _Report):
    """A budget and one of its periods, and of when that is."""


class Budgets(_Report):
    """All budgets, in the order in which they were set up."""

    data: list[Budget]


class Entry(Event):
    """An event, and by how much it changed a figure."""

    amount_usd: Usd


class Explanation(_Report):
    """The events that a figure is the sum of."""

    budget_id: UUID
    period: str
    figure: Figure
    usd: Usd
    data: list[Entry]


class CostLine(_Answer):
    """The attempts that have the same groups; those that were not asked for are absent."""

    provider: str = ""
    model: str = ""
    tenant: str = ""
    actor: str = ""
    day: date = date.min
    hour: datetime = datetime.min.replace(tzinfo=UTC)
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    reasoning_output_tokens: int
    cost_usd: Usd
    assumed_usd: Usd
    unpriced: int


class Costs(_Report):
    """The dearest first."""

    data: list[CostLine]


class Durations(_Answer):
    """Of answers, in seconds; percentiles are estimates, to within a quarter of their value."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    longest: float


class UsageLine(_Answer):
    """What has the same groups; those that were not asked for are absent."""

    provider: str = ""
    model: str = ""
    tenant: str = ""
    actor: str = ""
    day: date = date.min
    hour: datetime = datetime.min.replace(tzinfo=UTC)
    calls: int
    attempts: int
    answered: int
    failed: int
    interrupted: int
    refused: int
    failures: dict[str, int]
    interruptions: dict[str, int]
    refusals: dict[str, int]
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    cache_write_1h_input_tokens: int
    reasoning_output_tokens: int
    estimated: int
    cost_usd: Usd
    assumed_usd: Usd
    unpriced: int
    duration: Durations | None
    time_to_first_token: Durations | None


class UsageReport(_Report):
    """Times first, in their order, then those with the most calls."""

    data: list[UsageLine]


class Difference(_Answer):
    """Something that does not agree, and where; amounts where it is about one."""

    stream: str
    position: int
    what: str
    expected_usd: Usd | None
    found_usd: Usd | None


class KnownLater(_Answer):
    """What a call really cost whose hold had been written off whole."""

    stream: str
    position: int
    hold_id: str
    budget_id: UUID
    period_key: str
    assumed_usd: Usd
    cost_usd: Usd


class Overrun(_Answer):
    """A provider billed more than the hold."""

    stream: str
    position: int
    hold_id: str | None
    amount_usd: Usd


class ClosedPeriods(_Answer):
    """All periods whose books are closed, added up."""

    periods: int
    holds: int
    settled_usd: Usd
    spent_usd: Usd


class PeriodTotals(_Answer):
    """One open period by both sides."""

    budget_id: UUID
    period_key: str
    holds: int
    settled_usd: Usd
    lent_usd: Usd
    spent_usd: Usd
    held_usd: Usd
    later_usd: Usd


class MoneyAudit(_Answer):
    """Whether the books agree, up to `position`; `as_of` is `null` when no moment was asked for."""

    agrees: bool
    as_of: datetime | None
    position: int
    calls: int
    cost_usd: Usd
    outside_usd: Usd
    periods: list[PeriodTotals]
    closed: ClosedPeriods
    differences: list[Difference]
    difference_count: int
    known_later: list[KnownLater]
    known_later_usd: Usd
    overruns: list[Overrun]
    overrun_usd: Usd


Hex = Annotated[str, Field(pattern=r"^[0-9a-f]*$", description="Bytes in hexadecimal.")]


class TrailEvent(Event):
    """An event of a trail; the fields of `data` that hold texts are left out, and named."""

    left_out: list[str]


class Trail(_Answer):
    """Events in the order of their positions; go on after `reached` for `more`. Known up to `known_to`."""

    data: list[TrailEvent]
    reached: int
    more: bool
    known_to: int


class Seal(_Answer):
    """The chain of hashes up to a position, signed; `links` only where they were asked for."""

    chain: UUID
    number: int
    first_position: int
    last_position: int
    events: int
    sealed_at: datetime
    previous: Hex
    link: Hex
    public_key: Hex
    signature: Hex
    links: Hex = ""


class Seals(_Answer):
    """In their order; go on after the last number for `more`."""

    data: list[Seal]
    more: bool


class LogVerification(_Answer):
    """Whether the log is what was sealed; else where it first is not."""

    intact: bool
    seals: int
    events: int
    unsealed: int
    last_position: int
    public_keys: list[Hex]
    late_seals: int
    fault: str
    position: int | None
    after: int | None
    seal: int | None


class Projection(_Answer):
    """How far a build of a read model is."""

    name: str
    version: int
    position: int
    head: int
    lag_events: int
    lag_seconds: float | None
    state: ProjectionState
    rate: float
    updated_at: datetime
    error: str | None
    failed_position: int | None
    build: int
    role: BuildRole
    created_at: datetime | None
    skipped: int
    waits_for: str | None
    remaining_seconds: float | None


class Projections(_Answer):
    """All of them."""

    data: list[Projection]


class Model(_Answer):
    """A model or a route, in OpenAI's shape."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(_Answer):
    """What callers may name."""

    object: Literal["list"]
    data: list[Model]


class ModelPrice(_Answer):
    """US dollars for a million tokens, and where that is known from."""

    input_usd: Usd
    output_usd: Usd
    version: str


class ListedModel(_Answer):
    """A model of the configuration; no `price`: nobody knows what it costs."""

    name: str
    price: ModelPrice | None


class ProviderCapabilities(_Answer):
    """What the provider's format can carry; `null`: it does not say."""

    chat: bool
    streaming: bool
    tools: bool | None
    images: bool | None
    structured_output: bool | None
    embeddings: bool
    count_tokens: bool


class ProviderHealth(_Answer):
    """The attempts of the last hour; `last_error` is the code with which the last one failed."""

    state: Literal["ok", "degraded", "failing", "unknown"]
    attempts: int
    failed: int
    last_at: datetime | None
    last_error: str | None


class ConfiguredProvider(_Answer):
    """A provider, without its keys."""

    name: str
    format: str
    base_url: str
    models: list[ListedModel]
    only_listed: bool
    free: bool
    capabilities: ProviderCapabilities
    health: ProviderHealth


class ConfiguredProviders(_Answer):
    """All of them, in the order of the configuration."""

    data: list[ConfiguredProvider]


class TemplateLine(_Answer):
    """A line of the list of prompt templates."""

    name: str
    last_version: int
    retired: bool


class Templates(_Answer):
    """Prompt templates, in the order of their first versions."""

    data: list[TemplateLine]


class TemplateMessage(_Answer):
    """A message of a prompt template."""

    role: str
    content: str


class Template(TemplateLine):
    """A version of a prompt template; `variables` have their types."""

    version: int
    messages: list[TemplateMessage]
    variables: dict[str, VariableType]
