"""Every error that Send2LLM raises on purpose.

    Send2LLMError
    ├── ConfigurationError            settings or configuration file are wrong
    ├── InvalidRequest                the caller asked for something malformed
    │   ├── UnknownModel              no provider or route has that model
    │   ├── SensitiveData             the configuration refuses such data
    │   └── CannotBound               nothing limits what it can cost, so that no hold could cover it
    │       └── PriceUnknown          a budget applies, and nobody knows what the model costs
    ├── NotFound
    │   ├── ConversationNotFound
    │   ├── CompletionNotFound
    │   ├── EarlierAnswerNotFound
    │   ├── BudgetNotFound
    │   ├── BudgetPeriodNotFound
    │   ├── AllowanceNotFound
    │   ├── ProjectionNotFound
    │   ├── TemplateNotFound
    │   └── TemplateVersionNotFound
    ├── Conflict                      the thing exists, but its state forbids the command
    │   ├── ConversationAlreadyStarted
    │   ├── ConversationIsClosed
    │   ├── ConversationIsErased
    │   ├── ConversationNotErasable   its texts are stored in plain
    │   ├── CompletionInProgress
    │   ├── CompletionAlreadyEnded
    │   ├── IdempotencyKeyReused
    │   ├── StaleConversation         somebody else appended first (retried by the application)
    │   ├── BudgetAlreadyDefined
    │   ├── BudgetIsRetired
    │   ├── BudgetPeriodIsClosed
    │   ├── AllowancesOutstanding     a period cannot be closed while money of it is lent
    │   ├── CarryOverAlreadyReceived
    │   ├── AllowanceAlreadyGranted
    │   ├── AllowanceAlreadyEnded     too late: the money was settled without the holder
    │   ├── AllowanceIsClosed         too late: the money was taken from the holder
    │   ├── StaleBudget               somebody else appended first (retried by the application)
    │   ├── HoldAlreadyTaken
    │   ├── ProjectionConflict
    │   ├── DatabaseRightMissing      the service's role in the database may not do what is asked
    │   ├── VerificationInProgress    one at a time reads the whole log
    │   ├── TemplateIsRetired
    │   └── StaleTemplate             somebody else appended first (retried by the application)
    ├── BudgetExceeded                a budget has not enough left for the call
    ├── StoreUnavailable              events cannot be stored or read now
    │   └── StoreOverloaded           too many appends wait already
    ├── UnreadableEvent               a stored event makes no sense here, or its texts cannot be decrypted
    └── ProviderError                 the provider did not give an answer
        ├── AuthenticationFailed
        ├── PermissionDenied
        ├── ModelNotAvailable
        ├── RequestRejected           the provider calls the request invalid
        │   ├── ContextLengthExceeded
        │   └── ContentFiltered
        ├── RateLimited               transient
        ├── QuotaExhausted            the provider's own limit on spending
        ├── Overloaded                transient: 5xx, 529
        ├── ConnectionFailed          transient
        ├── ProviderTimedOut          transient: connect, first token, between tokens, total
        ├── MalformedReply            transient: the answer is not what the format says
        └── StreamBroken              transient: the stream ended without its end

Messages are written for the person who must act; they never hold a key or the text of a prompt.
"""

# Longer than 400 lines because whoever catches an error shall find the whole tree in one place.

from typing import ClassVar
from uuid import UUID

from send2llm.domain.shortfall import Shortfall


class Send2LLMError(Exception):
    """The root of the tree."""

    code: ClassVar[str] = "error"
    """A short stable name: programs may rely on it, and metrics use it as ``error.type``."""

    conversation_id: UUID | None = None
    """The conversation in which it happened, where that is known."""


class ConfigurationError(Send2LLMError):
    """Settings or the configuration file are wrong; the message names the place and the remedy."""

    code = "configuration_error"


class InvalidRequest(Send2LLMError):
    """The request is malformed; ``param`` is the path of the field at fault, where there is one."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModel(InvalidRequest):
    """No configured provider or route has the model."""

    code = "model_not_found"

    def __init__(self, model: str, known: str) -> None:
        super().__init__(f"There is no model {model[:200]!r} here. {known}", param="model")
        self.model = model


class SensitiveData(InvalidRequest):
    """A text holds what the configuration wants to be refused; what it is exactly is in no error."""

    code = "sensitive_data"

    def __init__(self, kind: str, param: str) -> None:
        super().__init__(
            f"{param} holds data of the kind {kind}, which this service refuses. Take it out.", param=param
        )
        self.kind = kind


class CannotBound(InvalidRequest):
    """Nothing limits what the request can cost, so that no hold could cover it; ``param`` names the reason."""

    code = "cannot_bound_cost"


class PriceUnknown(CannotBound):
    """A budget covers the call, and nobody knows what the model costs."""

    code = "price_unknown"

    def __init__(self, provider: str, model: str) -> None:
        super().__init__(
            f"The model {provider}/{model[:200]} has no known price, so that no budget can cover the call. State one "
            f'in send2llm.toml ([prices."{provider}/..."]), or mark the provider as free.',
            param="model",
        )


class NotFound(Send2LLMError):
    """What the caller names does not exist."""

    code = "not_found"


class ConversationNotFound(NotFound):
    """No events are stored for the conversation."""

    code = "conversation_not_found"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(f"There is no conversation {conversation_id}.")


class CompletionNotFound(NotFound):
    """The conversation has no such completion."""

    code = "completion_not_found"

    def __init__(self, completion_id: object) -> None:
        super().__init__(f"The conversation has no completion {completion_id}.")


class EarlierAnswerNotFound(NotFound):
    """A call goes on from an answer that was never given here."""

    code = "earlier_answer_not_found"

    def __init__(self, name: object, *, failed: bool = False) -> None:
        why = "came to no answer, so that nothing can follow it: ask again" if failed else "was never given here"
        super().__init__(f"The earlier answer {str(name)[:200]!r} {why}.")


class BudgetNotFound(NotFound):
    """No budget was defined under the id."""

    code = "budget_not_found"

    def __init__(self, budget_id: object) -> None:
        super().__init__(f"There is no budget {budget_id}; `send2llm budget list` shows those that there are.")


class BudgetPeriodNotFound(NotFound):
    """The period of the budget was never opened, because no call needed it."""

    code = "budget_period_not_found"

    def __init__(self, budget_id: object, period_key: str) -> None:
        super().__init__(
            f"Nothing was spent from the budget {budget_id} in {period_key}; without a period, the one that runs is "
            "shown."
        )


class AllowanceNotFound(NotFound):
    """The period never granted that allowance."""

    code = "allowance_not_found"

    def __init__(self, allowance_id: object, period_key: str) -> None:
        super().__init__(f"The period {period_key} never granted an allowance {allowance_id}; look in another one.")


class TemplateNotFound(NotFound):
    """No prompt template has the name."""

    code = "template_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no prompt template {name[:200]!r}. GET /api/templates lists them.")


class TemplateVersionNotFound(NotFound):
    """The prompt template has no such version."""

    code = "template_version_not_found"

    def __init__(self, name: str, version: int, last: int) -> None:
        super().__init__(f"The prompt template {name!r} has no version {version}; its last one is {last}.")


class ProjectionNotFound(NotFound):
    """There is no such projection, or no such build of it."""

    code = "projection_not_found"


class Conflict(Send2LLMError):
    """The command does not fit the state that the thing is in."""

    code = "conflict"


class ConversationAlreadyStarted(Conflict):
    """A conversation with that id exists."""

    code = "conversation_exists"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(f"The conversation {conversation_id} exists already; choose another id or send to it.")


class ConversationIsClosed(Conflict):
    """Nothing can be added to a closed conversation."""

    code = "conversation_closed"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(f"The conversation {conversation_id} is closed; start a new one to go on.")


class ConversationIsErased(Conflict):
    """What was said in the conversation was erased, for ever."""

    code = "conversation_erased"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(
            f"The conversation {conversation_id} was erased: what was said in it is gone, and nothing can be added."
        )


class ConversationNotErasable(Conflict):
    """There is no key whose loss would make the texts unreadable: some or all were stored in plain."""

    code = "conversation_not_erasable"

    def __init__(self, conversation_id: object, version: int) -> None:
        super().__init__(
            f"The conversation {conversation_id} cannot be erased: its event {version} holds text that was stored "
            "without encryption, and stored events never change. Set encryption.key_file, so that what is said from "
            "now on can be."
        )


class CompletionInProgress(Conflict):
    """The conversation waits for an answer already."""

    code = "completion_in_progress"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(f"The conversation {conversation_id} is waiting for an answer; try again when it has come.")


class CompletionAlreadyEnded(Conflict):
    """The completion has its outcome already."""

    code = "completion_ended"

    def __init__(self, completion_id: object) -> None:
        super().__init__(f"The completion {completion_id} has ended already.")


class IdempotencyKeyReused(Conflict):
    """An idempotency key came back with another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for a different request; use a new key for a new request.")


class StaleConversation(Conflict):
    """Another writer appended to the stream first; load again and decide again."""

    code = "stale_conversation"

    def __init__(self, conversation_id: object) -> None:
        super().__init__(
            f"The conversation {conversation_id} was changed by another call at the same moment; try again."
        )


class BudgetAlreadyDefined(Conflict):
    """There is a budget for that scope and period already; two would say different things about the same calls."""

    code = "budget_exists"

    def __init__(self, budget_id: object, scope: str, period: str) -> None:
        super().__init__(
            f"There is a budget for {scope} and each {period} already: {budget_id}. Change its limit, or retire it."
        )


class BudgetIsRetired(Conflict):
    """A retired budget is not changed and opens no periods."""

    code = "budget_retired"

    def __init__(self, budget_id: object) -> None:
        super().__init__(f"The budget {budget_id} is retired; define a new one.")


class BudgetPeriodIsClosed(Conflict):
    """The books of the period are closed; money comes from the period that runs now."""

    code = "budget_period_closed"

    def __init__(self, budget_id: object, period_key: str) -> None:
        super().__init__(f"The period {period_key} of the budget {budget_id} is closed; use the one that runs now.")


class AllowancesOutstanding(Conflict):
    """A period is closed when all that it lent was settled."""

    code = "allowances_outstanding"

    def __init__(self, period_key: str, count: int) -> None:
        super().__init__(
            f"The period {period_key} cannot be closed: allowances not settled yet: {count}. "
            "They end with their calls, or when they expire."
        )


class CarryOverAlreadyReceived(Conflict):
    """A period takes over the rest of the one before it once."""

    code = "carry_over_received"

    def __init__(self, period_key: str) -> None:
        super().__init__(f"The period {period_key} has received what the one before it left over already.")


class AllowanceAlreadyGranted(Conflict):
    """The id of an allowance is used once."""

    code = "allowance_granted"

    def __init__(self, allowance_id: object) -> None:
        super().__init__(f"The allowance {allowance_id} was granted before; use a new id.")


class AllowanceAlreadyEnded(Conflict):
    """Too late: the allowance was settled or has lapsed. Nothing more may be recorded for it."""

    code = "allowance_ended"

    def __init__(self, allowance_id: object) -> None:
        super().__init__(
            f"The allowance {allowance_id} was settled before, by its holder or after it expired. It is too late: "
            "record nothing more for it."
        )


class AllowanceIsClosed(Conflict):
    """Too late: nothing can be held from the allowance any more; ask for a new one."""

    code = "allowance_closed"

    def __init__(self, allowance_id: UUID) -> None:
        super().__init__(f"The allowance {allowance_id} is closed; ask the budget for a new one.")
        self.allowance_id = allowance_id


class StaleBudget(Conflict):
    """Another process appended to the budget first; load again and decide again."""

    code = "stale_budget"

    def __init__(self, budget_id: object) -> None:
        super().__init__(f"The budget {budget_id} was changed by another process at the same moment; try again.")


class HoldAlreadyTaken(Conflict):
    """An attempt holds money from an allowance once."""

    code = "hold_taken"

    def __init__(self, hold_id: str) -> None:
        super().__init__(f"The hold {hold_id} was taken before; a new attempt needs a hold of its own.")


class TemplateIsRetired(Conflict):
    """The prompt template was retired: no request can use it, and it gets no further versions."""

    code = "template_retired"

    def __init__(self, name: str) -> None:
        super().__init__(f"The prompt template {name!r} is retired. Use another one.")


class StaleTemplate(Conflict):
    """Somebody else changed the prompt template meanwhile."""

    code = "stale_template"

    def __init__(self, name: str) -> None:
        super().__init__(f"The prompt template {name!r} was changed by somebody else just now. Try again.")


class ProjectionConflict(Conflict):
    """The build of a projection is not in a state for the command; the message says which would be."""

    code = "projection_conflict"


class DatabaseRightMissing(Conflict):
    """The role with which the service uses its database may not do what the command needs; the message says what may.

    ``remedy`` is what somebody has to do about it who may.
    """

    code = "database_right_missing"

    def __init__(self, refused: str, remedy: str) -> None:
        super().__init__(f"The service's role in the database may not do that: {refused}. {remedy}")


class ProjectionViewTaken(Conflict):
    """The name under which a table is to be read belongs to a table or view that is not the projection's."""

    code = "projection_view_taken"

    def __init__(self, projection: str, view: str) -> None:
        super().__init__(
            f"{view!r}, as which a table of {projection} is to be read, is the name of something else; "
            "rename the projection or its table, or remove the other one."
        )


class VerificationInProgress(Conflict):
    """The log is being verified already: that reads all of it, so one at a time does."""

    code = "verification_in_progress"

    def __init__(self) -> None:
        super().__init__("The log is being verified already, for somebody else; ask again when that has ended.")


class BudgetExceeded(Send2LLMError):
    """A budget has not enough left to cover the most that the call may cost; ``shortfall`` has the numbers.

    ``fits_shorter``: with a shorter answer than the call could have had it would fit; so it is the answer that is too
    long, and else the input.
    """

    code = "budget_exceeded"

    def __init__(self, shortfall: Shortfall, *, fits_shorter: bool = False) -> None:
        end = shortfall.period_end
        wait = f", or wait until {end.isoformat()}" if end else ""
        less = "Ask for fewer output tokens" if fits_shorter else "Send less input"
        super().__init__(f"{shortfall} {less}, raise the limit with `send2llm budget set`{wait}.")
        self.shortfall = shortfall


class StoreUnavailable(Send2LLMError):
    """The event store cannot be reached; nothing was acknowledged."""

    code = "store_unavailable"


class StoreOverloaded(StoreUnavailable):
    """More appends wait than the queue may hold; nothing of this one was stored."""

    code = "store_overloaded"


class UnreadableEvent(Send2LLMError):
    """A stored event cannot be turned into an object; the message names it and says what to do.

    ``position`` is its place in the log, where that is known: who reads on behind it passes it over.
    """

    code = "unreadable_event"
    position: int | None = None


class ProviderError(Send2LLMError):
    """The provider did not give an answer.

    ``retryable`` says whether the same call may succeed later, ``retry_after`` (seconds) when the provider
    wants it to come, ``status`` is the provider's HTTP status where there was one. ``may_be_charged``: the provider
    may have worked on the request, and may charge for it, although no answer came of it.
    """

    code = "provider_error"
    retryable: bool = False
    may_be_charged: bool = False

    def __init__(
        self, message: str, *, provider: str = "", status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.status = status
        self.retry_after = retry_after


class AuthenticationFailed(ProviderError):
    """The provider does not accept our key."""

    code = "provider_authentication_failed"


class PermissionDenied(ProviderError):
    """The key may not use this model or feature."""

    code = "provider_permission_denied"


class ModelNotAvailable(ProviderError):
    """The provider does not have the model."""

    code = "provider_model_not_found"


class RequestRejected(ProviderError):
    """The provider calls the request invalid; sending it again will not help. ``param`` is the field, if known."""

    code = "provider_rejected_request"
    param: str | None = None


class ContextLengthExceeded(RequestRejected):
    """The messages and the answer do not fit the model's context."""

    code = "context_length_exceeded"


class ContentFiltered(RequestRejected):
    """The provider's content policy refused the prompt."""

    code = "content_filter"


class QuotaExhausted(ProviderError):
    """The account at the provider has no money or quota left."""

    code = "provider_quota_exhausted"


class TransientProviderError(ProviderError):
    """The same call may succeed when it is sent again."""

    code = "provider_transient_error"
    retryable = True


class RateLimited(TransientProviderError):
    """Too many requests or tokens for now; ``retry_after`` tells how long to wait, if the provider said."""

    code = "provider_rate_limited"


class Overloaded(TransientProviderError):
    """The provider failed or is too busy (HTTP 5xx, 529)."""

    code = "provider_overloaded"


class ConnectionFailed(TransientProviderError):
    """No connection to the provider, or it was lost before an answer."""

    code = "provider_connection_failed"
    may_be_charged = True


class ProviderTimedOut(TransientProviderError):
    """The provider took too long; ``phase`` is ``connect``, ``first_token``, ``between_tokens`` or ``total``."""

    code = "provider_timed_out"

    def __init__(self, phase: str, seconds: float, *, provider: str = "") -> None:
        super().__init__(
            f"No answer from {provider or 'the provider'} within {seconds:g} s ({phase}).", provider=provider
        )
        self.phase = phase
        self.retryable = phase != "total"
        self.may_be_charged = phase != "connect"


class MalformedReply(TransientProviderError):
    """The reply is not what the provider's format says."""

    code = "provider_malformed_reply"
    may_be_charged = True


class StreamBroken(TransientProviderError):
    """The stream ended without its end."""

    code = "provider_stream_broken"
    may_be_charged = True
