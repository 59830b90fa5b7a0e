"""The trail of something: everything that happened to it, without what was said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

from send2llm.application.context import DEFAULT_TENANT
from send2llm.application.published_events import PublishedEvent

SubjectKind = Literal["conversation", "completion", "correlation", "idempotency_key", "actor", "budget"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose trail it is: ``name`` is an id, but for actors and idempotency keys.

    ``tenant`` is whose the key is, and may be ``None`` elsewhere: then events of all tenants belong to it.
    """

    kind: SubjectKind
    name: str
    tenant: str | None = None

    @property
    def key_tenant(self) -> str:
        """The tenant whose idempotency key it is."""
        return self.tenant or DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class TrailPage:
    """A part of a trail, in the order of positions. ``more`` follows after ``reached``.

    The trail is known up to ``known_to``, a position which follows the log within moments.
    """

    events: Sequence[PublishedEvent]
    reached: int
    more: bool
    known_to: int


class Trails(Protocol):
    """Finds what belongs together."""

    async def page(self, subject: Subject, after: int, limit: int, up_to: int | None = None) -> TrailPage:
        """At most ``limit`` events after a position, up to another one; then no later one is known.

        Raises ``InvalidRequest`` for no id, and ``StoreUnavailable``.
        """
        ...


FACTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        topic: frozenset(fields.split())
        for topic, fields in {
            "conversation.context_shortened": (
                "completion_id mode left_out tokens_before tokens_after token_limit context_window"
                " summary_conversation_id summary_completion_id"
            ),
            "conversation.completion_requested": (
                "completion_id requested_model decision provider model process streaming price_version hold_usd"
                " output_limit paid_by passed_over idempotency_key template"
            ),
            "conversation.attempt_failed": (
                "completion_id attempt provider model error retryable status duration cost_usd assumed next_attempt"
            ),
            "conversation.completion_received": (
                "completion_id provider model attempts duration time_to_first_token reported_usage estimated_usage"
                " cost_usd price_version response_id response_model assumed"
            ),
            "conversation.completion_failed": "completion_id error attempts duration",
            "conversation.completion_interrupted": (
                "completion_id reason duration reported_usage estimated_usage cost_usd price_version assumed attempts"
                " provider model"
            ),
            "conversation.completion_refused": (
                "completion_id requested_model decision error detail shortfall passed_over"
            ),
            "conversation.feedback_given": "completion_id score",
            "idempotency.key_claimed": "conversation_id completion_id",
            "budget_plan.defined": "scope limit_usd recurrence carry_over thresholds",
            "budget_plan.changed": "limit_usd carry_over thresholds",
            "budget.period_opened": "budget_id scope period limit_usd carried_over_usd carry_over thresholds",
            "budget.balance_carried_over": "period_key amount_usd",
            "budget.limit_changed": "limit_usd",
            "budget.allowance_granted": "allowance_id holder amount_usd expires_at",
            "budget.allowance_renewed": "allowance_id amount_usd expires_at",
            "budget.allowance_settled": "allowance_id spent_usd returned_usd",
            "budget.allowance_lapsed": "allowance_id spent_usd assumed_usd returned_usd assumed_holds",
            "budget.overrun_recorded": "allowance_id amount_usd hold_id",
            "budget.threshold_reached": "percent settled_usd",
            "budget.exhausted": "needed_usd settled_usd lent_usd",
            "budget.period_closed": (
                "limit_usd carried_over_usd settled_usd assumed_usd overrun_usd carried_forward_usd"
            ),
            "allowance.hold_taken": "budget_id period_key conversation_id completion_id attempt amount_usd",
            "allowance.closed": "reason",
            "template.version_added": "version",
        }.items()
    }
)
"""The fields that hold no words of callers, by topic; all others are left out, those of unknown topics too.

What a provider says about a failure (``detail``) may quote what it was sent, so it is none of them."""


def without_texts(topic: str, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The facts of an event, and the names of the fields that were left out."""
    facts = FACTS.get(topic, frozenset())
    return {name: value for name, value in data.items() if name in facts}, sorted(data.keys() - facts)
