"""A response that was given earlier, and its input, written from what is recorded of it.

Format: https://platform.openai.com/docs/api-reference/responses/get and .../responses/input-items
"""

from collections.abc import Iterator

from send2llm.application.earlier_answers import AnswerThen, ToldMessage
from send2llm.domain.completion import Answer, Completion, Delta, deltas_of
from send2llm.domain.continuation import INSTRUCTIONS
from send2llm.domain.conversation_events import CompletionInterrupted, CompletionReceived
from send2llm.domain.errors import RequestRejected
from send2llm.infrastructure.formats.caller_format import AnswerFacts
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.responses.output import output_of
from send2llm.infrastructure.formats.responses.response import ResponseFrame, failure, write_reply
from send2llm.infrastructure.formats.responses.writing_items import write_input


def write_recorded(answer: AnswerThen) -> Body:
    """The response as it stands now."""
    ending = answer.ending
    frame = _frame(answer)
    if ending is None:
        return frame.body("in_progress")
    if isinstance(ending, CompletionReceived):
        return write_reply(Completion(ending.answers, usage=ending.reported_usage), frame)
    if isinstance(ending, CompletionInterrupted):
        begun = [Delta(text=ending.partial_text)] if ending.partial_text else []
        output = output_of(begun, ending.completion_id, status="incomplete")
        error = failure(ending.reason, "The answer was interrupted.")
        return frame.body("failed", output, usage=ending.reported_usage, error=error)
    return frame.body("failed", error=failure(ending.error, ending.detail))


def _frame(answer: AnswerThen) -> ResponseFrame:
    request, ending = answer.request, answer.ending
    provider, model = request.provider, request.model
    if isinstance(ending, CompletionReceived):
        provider, model = ending.provider, ending.model
    name = answer.name
    facts = AnswerFacts(name.conversation_id, name.completion_id, provider, model, int(answer.requested_at.timestamp()))
    return ResponseFrame(facts, [told.message for told in answer.told], request.parameters)


def write_recorded_input(answer: AnswerThen) -> list[Body]:
    """All that the model was told, each item with an id; without instructions, which are no items."""
    said = (told for told in answer.told if not told.message.extras.get(INSTRUCTIONS))
    items = [item for told in said for item in _items(told)]
    return [_named(item, f"{answer.name.conversation_id.hex}{place:04x}") for place, item in enumerate(items)]


def _items(told: ToldMessage) -> Iterator[Body]:
    message = told.message
    if told.completion_id is not None:
        yield from output_of(deltas_of(Completion((Answer(message, "stop"),))), told.completion_id)
        return
    try:
        yield from write_input([message])
    except RequestRejected:  # it holds what only another format has; its text is shown all the same
        yield {"type": "message", "role": message.role, "content": message.text}


_TEXTS = {"assistant": "output_text"}


def _named(item: Body, name: str) -> Body:
    named = {"id": f"item_{name}", **item}
    if item["type"] == "message" and isinstance(item["content"], str):
        kind = _TEXTS.get(item["role"], "input_text")
        part = {"type": kind, "text": item["content"], **({"annotations": []} if kind == "output_text" else {})}
        named |= {"content": [part]}
    return {"status": "completed", **named}
