"""``/api/conversations``: Send2LLM's own way to hold, find and look back at conversations."""

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from send2llm.application.patience import Caller
from send2llm.application.queries import LARGEST_PAGE, ConversationFilter, ConversationState
from send2llm.application.send_command import SendMessage
from send2llm.application.time_travel import ConversationThen
from send2llm.bootstrap.service import Service
from send2llm.infrastructure.formats import openai_chat
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.accepting import Accept, wants_event_stream
from send2llm.interfaces.http.answering import read_idempotency_key
from send2llm.interfaces.http.asgi import Watch, unless_left
from send2llm.interfaces.http.bodies import (
    CloseConversation,
    EraseConversation,
    GiveFeedback,
    SendMessages,
    StartConversation,
)
from send2llm.interfaces.http.dependencies import TheContext, TheService
from send2llm.interfaces.http.descriptions import ANY_CALL, ends, problems
from send2llm.interfaces.http.labels import MOST_LABELS, named_labels
from send2llm.interfaces.http.message_stream import MessageStream
from send2llm.interfaces.http.moments import At, Rfc3339, moment_of, read_at, shown_moment
from send2llm.interfaces.http.reply_headers import reply_headers
from send2llm.interfaces.http.strict_route import StrictRoute

LARGEST_EVENT_PAGE = 1000
"""Digits; no stream gets that long."""

router = APIRouter(prefix="/api/conversations", tags=["conversations"], route_class=StrictRoute)


@router.post(
    "",
    status_code=201,
    summary="Start a conversation",
    response_model=None,
    responses=ends(answers.Conversation, 409, status=201),
)
async def start(service: TheService, context: TheContext, body: StartConversation) -> dict[str, Any]:
    """Give an id and labels of your own, or an empty object."""
    started = await service.conversations.start(context, body.id, body.labels)
    return views.conversation_state(started)


@router.post(
    "/{conversation_id}/messages",
    summary="Say something and get an answer",
    response_model=None,
    responses=ends(answers.Answer, *ANY_CALL, stream=True),
)
async def send(
    service: TheService,
    context: TheContext,
    conversation_id: UUID,
    body: SendMessages,
    request: Request,
    accept: Accept = "",
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """With `stream`, or `Accept: text/event-stream`, the answer comes as server-sent events.

    `delta` holds a piece of it, `done` the whole with what it cost, `error` a problem.
    """
    parsed = openai_chat.read_request(body.as_chat_completion())
    command = SendMessage(
        model=parsed.model,
        messages=parsed.messages,
        parameters=parsed.parameters,
        conversation_id=conversation_id,
        parts_only=True,
        streaming=body.stream or wants_event_stream(accept),
        idempotency_key=idempotency_key and read_idempotency_key(idempotency_key.encode("latin-1")),
    )
    if command.streaming:
        return MessageStream(service.sender, command, context, service.metrics.call_in_flight)
    caller, began = Caller(), time.perf_counter()
    async with Watch(request.receive, caller):
        with service.metrics.call_in_flight():
            reply = await service.sender.complete(command, caller, context)
    overhead = time.perf_counter() - began - reply.upstream
    return views.json_response(views.answer(reply), reply_headers(reply, overhead))


@router.get(
    "", summary="List conversations, the latest first", response_model=None, responses=ends(answers.Conversations)
)
async def list_conversations(
    request: Request,
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    state: ConversationState | None = None,
    q: Annotated[str | None, Query(description="Words in the title.")] = None,
    started_after: Rfc3339 | None = None,
    started_before: Rfc3339 | None = None,
    label: Annotated[
        list[str] | None, Query(description="`name=value`; more of them: all have to be there.", max_length=MOST_LABELS)
    ] = None,
    at: At = None,
) -> Response:
    """Pages go on with `next_cursor`; `model` and `provider` are those of the last call."""
    matching = ConversationFilter(
        model=model,
        provider=provider,
        state=state,
        started_from=started_after,
        started_before=started_before,
        text=q,
        labels=named_labels(label or (), encoded=False),
    )
    moment = await moment_of(service, at)
    history = service.history if moment is None else service.reports_as_of.history(moment)
    page = await unless_left(request.receive, history.conversations(matching, limit=limit, cursor=cursor))
    data = [views.conversation_summary(summary) for summary in page.conversations]
    return views.json_response({"data": data, "next_cursor": page.next_cursor, **shown_moment(moment)})


@router.get(
    "/{conversation_id}",
    summary="A conversation now, or as of a version, a position or a time",
    response_model=None,
    responses=ends(answers.ConversationAsOf, 404),
)
async def show(service: TheService, conversation_id: UUID, at: str | None = None) -> Response:
    """`at` is a version (how many events), a position of the log (`position:812`), or an RFC 3339 time."""
    then = await _as_of(service, conversation_id, at)
    shown = views.conversation_with_messages(then.conversation)
    return views.json_response({**shown, "as_of": then.last.metadata.occurred_at, "position": then.last.position})


async def _as_of(service: Service, conversation_id: UUID, at: str | None) -> ConversationThen:
    if at is None:
        return await service.as_of.now(conversation_id)
    match read_at(at, "version", "position"):
        case "version", number:
            return await service.as_of.version(conversation_id, number)
        case "position", number:
            return await service.as_of.moment(conversation_id, await service.moments.position(number))
        case time:
            return await service.as_of.moment(conversation_id, await service.moments.time(time))


@router.get(
    "/{conversation_id}/events",
    summary="What happened in a conversation",
    response_model=None,
    responses=ends(answers.Events, 404),
)
async def events(
    service: TheService,
    conversation_id: UUID,
    after: Annotated[int, Query(ge=0, description="Only events after this version.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_EVENT_PAGE)] = LARGEST_EVENT_PAGE,
) -> Response:
    """In the order of their versions, each with who and what caused it."""
    recorded = await service.conversation_events(conversation_id, after, limit)
    return views.json_response({"data": [views.event(one, service.event_data(one)) for one in recorded]})


@router.post(
    "/{conversation_id}/feedback",
    status_code=204,
    summary="Judge an answer or a conversation",
    responses=problems(404, 409),
)
async def feedback(service: TheService, context: TheContext, conversation_id: UUID, body: GiveFeedback) -> None:
    """`score` goes from -1 (bad) to 1 (good)."""
    await service.conversations.give_feedback(context, conversation_id, body.completion_id, body.score, body.comment)


@router.post(
    "/{conversation_id}/close",
    summary="Say that nothing more will come",
    response_model=None,
    responses=ends(answers.Conversation, 404, 409),
)
async def close(
    service: TheService, context: TheContext, conversation_id: UUID, body: CloseConversation | None = None
) -> dict[str, Any]:
    """Closing a closed conversation changes nothing."""
    closed = await service.conversations.close(context, conversation_id, body.reason if body else "")
    return views.conversation_state(closed)


@router.post(
    "/{conversation_id}/erase",
    summary="Give up what was said, for ever",
    response_model=None,
    responses=ends(answers.Conversation, 404, 409),
)
async def erase(
    service: TheService, context: TheContext, conversation_id: UUID, body: EraseConversation | None = None
) -> dict[str, Any]:
    """The key of its texts is destroyed; costs, counts, times and labels stay. The reason stays, too."""
    erased = await service.conversations.erase(context, conversation_id, body.reason if body else "")
    return views.conversation_state(erased)
