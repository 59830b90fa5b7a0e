"""What Send2LLM tells of a call in the headers of its answer."""

from decimal import Decimal

from send2llm.application.open_call import OpenCall, Reply
from send2llm.interfaces.http.asgi import Headers

BUDGET_LEFT = b"x-send2llm-budget-left-usd"
"""The least that any budget of the call has left, as far as this process knows."""

_PRINTABLE = bytes(byte if 32 <= byte < 127 else ord("?") for byte in range(256))


def reply_headers(reply: Reply, overhead: float) -> Headers:
    """Headers of a whole answer; ``overhead`` are the seconds that were not spent waiting for providers."""
    headers = _headers(str(reply.conversation_id), reply.provider, reply.model, reply.attempts, overhead)
    if reply.cost_usd is not None:
        headers.append((b"x-send2llm-cost-usd", usd(reply.cost_usd).encode()))
    if reply.budget_left_usd is not None:
        headers.append((BUDGET_LEFT, usd(reply.budget_left_usd).encode()))
    if reply.replayed:
        headers.append((b"x-send2llm-replayed", b"true"))
    return headers


def stream_headers(call: OpenCall, overhead: float) -> Headers:
    """Headers of an answer that has only begun: its cost is not known yet."""
    headers = _headers(
        str(call.conversation_id), call.candidate.provider, call.candidate.model, call.attempts, overhead
    )
    if call.hold is not None:
        headers.append((BUDGET_LEFT, usd(call.hold.left_usd).encode()))
    return headers


def usd(amount: Decimal) -> str:
    """A plain decimal number without needless zeros: ``0.000012``."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _headers(conversation_id: str, provider: str, model: str, attempts: int, overhead: float) -> Headers:
    return [
        (b"x-send2llm-conversation-id", conversation_id.encode()),
        (b"x-send2llm-provider", _safe(provider)),
        (b"x-send2llm-model", _safe(model)),
        (b"x-send2llm-attempts", b"%d" % attempts),
        (b"x-send2llm-cache", b"off"),
        (b"x-send2llm-overhead-ms", b"%.2f" % (overhead * 1000)),
    ]


def _safe(text: str) -> bytes:
    """Printable ASCII: a model's name comes from the caller and must not break out of its header."""
    return text.encode().translate(_PRINTABLE)
