"""How Send2LLM's own API shows things: JSON objects for FastAPI to encode."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import orjson
from fastapi import Response

from send2llm.application.context import RecordedEvent
from send2llm.application.costs import CostLine
from send2llm.application.open_call import Reply
from send2llm.application.projections import ProjectionStatus
from send2llm.application.queries import ConversationSummary
from send2llm.application.usage import UsageLine
from send2llm.domain.completion import Usage
from send2llm.domain.conversation import Conversation
from send2llm.infrastructure.formats import openai_chat
from send2llm.interfaces.http.reply_headers import usd


def report_lines(by: Sequence[str], lines: Iterable[CostLine | UsageLine]) -> list[dict[str, Any]]:
    """The lines of a report, with the values that each stands for under the names that were asked ``by``."""
    shown: list[dict[str, Any]] = []
    for line in lines:
        sums = asdict(line)
        shown.append({**dict(zip(by, sums.pop("group"), strict=True)), **sums})
    return shown


def conversation_state(conversation: Conversation) -> dict[str, Any]:
    """A conversation without what was said in it."""
    ended = "erased" if conversation.erased else "closed" if conversation.closed else ""
    state = ended or ("awaiting" if conversation.awaited else "open")
    return {
        "id": conversation.id,
        "version": conversation.version,
        "state": state,
        "labels": dict(conversation.labels),
        "awaited": conversation.awaited,
    }


def conversation_with_messages(conversation: Conversation) -> dict[str, Any]:
    """A conversation with its messages in OpenAI's shape."""
    return {**conversation_state(conversation), "messages": openai_chat.write_messages(conversation.messages, "reader")}


def conversation_summary(summary: ConversationSummary) -> dict[str, Any]:
    """A line of the list; money as decimal text."""
    return {
        "id": summary.id,
        "title": summary.title,
        "state": summary.state,
        "version": summary.version,
        "labels": dict(summary.labels),
        "message_count": summary.message_count,
        "completions": {
            "requested": summary.completion_count,
            "received": summary.received_count,
            "failed": summary.failed_count,
            "interrupted": summary.interrupted_count,
            "refused": summary.refused_count,
            "unpriced": summary.unpriced_count,
        },
        "cost_usd": usd(summary.cost_usd),
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "provider": summary.last_provider,
        "model": summary.last_model,
        "started_at": summary.started_at,
        "updated_at": summary.updated_at,
    }


def answer(reply: Reply) -> dict[str, Any]:
    """The answer to a call, with what it took and cost."""
    first = reply.completion.answers[0]
    return {
        "conversation_id": str(reply.conversation_id),
        "completion_id": str(reply.completion_id),
        "message": openai_chat.write_message(first.message, "reader"),
        "finish_reason": first.finish_reason,
        "usage": usage(reply.completion.usage),
        "cost_usd": None if reply.cost_usd is None else usd(reply.cost_usd),
        "provider": reply.provider,
        "model": reply.model,
        "attempts": reply.attempts,
        "replayed": reply.replayed,
    }


def usage(tokens: Usage | None) -> dict[str, int] | None:
    """Token counts as the provider reported them, ``None`` if it did not."""
    return None if tokens is None else asdict(tokens)


def json_response(content: object, headers: Iterable[tuple[bytes, bytes]] = (), *, status: int = 200) -> Response:
    """``content`` as JSON; money (``Decimal``) becomes text, so that nobody's parser rounds it."""
    shown = {name.decode(): value.decode() for name, value in headers}
    body = orjson.dumps(content, default=_plain)
    return Response(body, status_code=status, headers=shown, media_type="application/json")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return usd(value)
    raise TypeError(f"{type(value).__qualname__} has no JSON")


def event(recorded: RecordedEvent, data: object) -> dict[str, Any]:
    """An event with its metadata; ``data`` is what happened."""
    metadata = recorded.metadata
    return {
        "position": recorded.position,
        "stream": recorded.stream,
        "version": recorded.version,
        "topic": recorded.topic,
        "event_id": metadata.event_id,
        "occurred_at": metadata.occurred_at,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "actor": metadata.actor,
        "tenant": metadata.tenant,
        "data": data,
    }


def projection(status: ProjectionStatus) -> dict[str, Any]:
    """How a projection stands."""
    shown = asdict(status)
    shown["error"] = shown.pop("reason")
    shown["remaining_seconds"] = status.remaining_seconds
    return shown
