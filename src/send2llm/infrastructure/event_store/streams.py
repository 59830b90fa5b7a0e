"""The names of streams, and the digests by which conversations are found again."""

from hashlib import blake2b
from uuid import UUID

_CONVERSATION = "conversation-"
_IDEMPOTENCY = "idempotency-"
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


def tenant_digest(digest: bytes, tenant: str) -> bytes:
    """The digest of a transcript as indexed for ``tenant``: equal transcripts of two tenants never meet."""
    return blake2b(digest, key=_tenant_key(tenant), digest_size=_DIGEST_SIZE).digest()


def _tenant_key(tenant: str) -> bytes:
    return blake2b(_bytes(tenant), digest_size=_DIGEST_SIZE).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
