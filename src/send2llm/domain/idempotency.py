"""Idempotency keys: a caller may send the same request again and is answered once.

Each key has a stream of its own. Its last event says which completion the key stands for, so that the claim
is stored in one transaction with the intent of the call, and two racing calls cannot both have it.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKeyClaimed:
    """The key stands for this completion.

    Claims of earlier versions hold the ``request_digest`` that the request of the completion holds now: there it is
    encrypted, and gone when the conversation is erased.
    """

    conversation_id: UUID
    completion_id: UUID
    request_digest: str = ""
