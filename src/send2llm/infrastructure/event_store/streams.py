"""The names of streams, and the digests by which conversations are found again."""

from hashlib import blake2b
from uuid import UUID

_CONVERSATION = "conversation-"
_IDEMPOTENCY = "idempotency-"
_BUDGET_PLAN = "budget-plan-"
_BUDGET = "budget-"
_ALLOWANCE = "allowance-"
_TEMPLATE = "template-"
_UUID_LENGTH = 36
_DIGEST_SIZE = 16


def conversation_stream(conversation_id: UUID) -> str:
    """The stream of a conversation."""
    return f"{_CONVERSATION}{conversation_id}"


def conversation_id_of(stream: str) -> UUID:
    """The conversation whose stream it is; raises ``ValueError`` for other streams."""
    if not stream.startswith(_CONVERSATION):
        raise ValueError(f"{stream!r} is not the stream of a conversation.")
    return UUID(stream.removeprefix(_CONVERSATION))


def idempotency_stream(key: str, tenant: str) -> str:
    """The stream of an idempotency key; the key itself, chosen by the caller, is not told."""
    return _IDEMPOTENCY + blake2b(_bytes(key), key=_tenant_key(tenant), digest_size=_DIGEST_SIZE).hexdigest()


def budget_plan_stream(budget_id: UUID) -> str:
    """The stream of a budget's plan."""
    return f"{_BUDGET_PLAN}{budget_id}"


def budget_stream(budget_id: UUID, period_key: str) -> str:
    """The stream of one period of a budget."""
    return f"{_BUDGET}{budget_id}-{period_key}"


def budget_of(stream: str) -> tuple[UUID, str | None]:
    """The budget, and the period, ``None`` for a plan, whose stream it is; raises ``ValueError`` for other streams."""
    if stream.startswith(_BUDGET_PLAN):
        return UUID(stream.removeprefix(_BUDGET_PLAN)), None
    if not stream.startswith(_BUDGET):
        raise ValueError(f"{stream!r} is not the stream of a budget.")
    name = stream.removeprefix(_BUDGET)
    return UUID(name[:_UUID_LENGTH]), name[_UUID_LENGTH + 1 :]


def allowance_stream(allowance_id: UUID) -> str:
    """The stream of an allowance."""
    return f"{_ALLOWANCE}{allowance_id}"


def allowance_of(stream: str) -> UUID:
    """The allowance whose stream it is; raises ``ValueError`` for other streams."""
    if not stream.startswith(_ALLOWANCE):
        raise ValueError(f"{stream!r} is not the stream of an allowance.")
    return UUID(stream.removeprefix(_ALLOWANCE))


def template_stream(name: str) -> str:
    """The stream of a prompt template."""
    return f"{_TEMPLATE}{name}"


def template_of(stream: str) -> str:
    """The name of the prompt template whose stream it is."""
    return stream.removeprefix(_TEMPLATE)


class BudgetStreams:
    """The names of the streams of budgets, for who reads a log of many."""

    def allowance_of(self, stream: str) -> UUID:
        """The allowance whose stream it is."""
        return allowance_of(stream)

    def period_of(self, stream: str) -> tuple[UUID, str]:
        """The budget and the key of the period whose stream it is."""
        budget_id, period_key = budget_of(stream)
        return budget_id, period_key or ""


def tenant_digest(digest: bytes, tenant: str) -> bytes:
    """The digest of a transcript as indexed for ``tenant``: equal transcripts of two tenants never meet."""
    return blake2b(digest, key=_tenant_key(tenant), digest_size=_DIGEST_SIZE).digest()


def _tenant_key(tenant: str) -> bytes:
    return blake2b(_bytes(tenant), digest_size=_DIGEST_SIZE).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
