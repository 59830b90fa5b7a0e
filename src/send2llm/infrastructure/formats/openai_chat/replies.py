"""Replies of OpenAI's chat completions that come whole.

Format: https://platform.openai.com/docs/api-reference/chat/object.
"""

from typing import Any

import orjson

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.completion_builder import ASSUMED_FINISH_REASON
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import Message
from send2llm.infrastructure.formats.depth import DEEPEST, is_too_deep
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, an_object, missing, optional_string
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT, read_assistant
from send2llm.infrastructure.formats.openai_chat.usage import read_cost, read_usage, write_usage
from send2llm.infrastructure.formats.openai_chat.writing_messages import write_message


def parse_reply(body: bytes) -> Body:
    """The JSON object of a reply or of an event of a stream; raises ``MalformedReply``."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReply(f"The provider's reply is not JSON: {error.msg} at character {error.pos}.") from None
    if not isinstance(parsed, dict):
        raise MalformedReply("The provider's reply is JSON, but not an object.")
    if is_too_deep(body, parsed):
        raise MalformedReply(f"The provider's reply is nested more than {DEEPEST} levels deep.")
    return parsed


def read_reply(body: bytes, parsed: Body | None = None) -> Completion:
    """Read a reply, ``parsed`` already or not; raises ``MalformedReply``."""
    if parsed is None:
        parsed = parse_reply(body)
    usage = parsed.get("usage")
    try:
        return Completion(
            answers=_answers(parsed.get("choices")),
            response_id=optional_string(parsed, "id") or "",
            response_model=optional_string(parsed, "model") or "",
            usage=read_usage(usage),
            reported_cost_usd=read_cost(usage, body),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from a provider."""
    return MalformedReply(f"The provider's reply is not in the format of OpenAI's chat completions: {error}")


def _answers(choices: object) -> tuple[Answer, ...]:
    if not isinstance(choices, list) or not choices:
        raise missing("a list with at least one choice", "choices")
    if len(choices) == 1:
        return (_answer(choices[0], 0)[1],)
    answers = [_answer(choice, place) for place, choice in enumerate(choices)]
    return tuple(answer for _, answer in sorted(answers, key=lambda answer: answer[0]))


def _answer(choice: object, place: int) -> tuple[int, Answer]:
    try:
        choice = an_object(choice)
        index = choice.get("index")
        message = _message(choice.get("message"))
        finish_reason = optional_string(choice, "finish_reason") or ASSUMED_FINISH_REASON
    except WrongFieldError as error:
        raise error.within("choices", place) from None
    return index if isinstance(index, int) else place, Answer(message, finish_reason)


def _message(body: object) -> Message:
    try:
        return read_assistant(an_object(body))
    except WrongFieldError as error:
        raise error.within("message") from None


def write_reply(
    completion: Completion, *, created: int, response_id: str | None = None, model: str | None = None
) -> Body:
    """The body of a reply, from a completion of any format; ``created`` in seconds since 1970.

    ``response_id`` and ``model`` replace what the provider called them.
    """
    body: dict[str, Any] = {
        "id": response_id or completion.response_id,
        "object": "chat.completion",
        "created": created,
        "model": model or completion.response_model,
        "choices": [_choice(answer, index) for index, answer in enumerate(completion.answers)],
    }
    if completion.usage is not None:
        body["usage"] = write_usage(completion.usage)
    return body


def _choice(answer: Answer, index: int) -> Body:
    message = write_message(answer.message, "caller")
    message.setdefault("refusal", None)  # the SDKs' models have both fields in every answer
    return {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
