"""Replies of Gemini that come whole.

Format: https://ai.google.dev/api/generate-content#generatecontentresponse; all words for the end of an answer are in
``google.genai.types.FinishReason``.
"""

import re
from collections.abc import Iterable, Mapping

import orjson

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.completion_builder import ASSUMED_FINISH_REASON
from send2llm.domain.errors import ContentFiltered, MalformedReply, RequestRejected
from send2llm.domain.message import NO_EXTRAS, ContentPart, Message, ReasoningPart, ToolCallPart
from send2llm.infrastructure.formats.depth import DEEPEST, is_too_deep
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_list,
    optional_object,
    optional_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT, read_part
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.usage import read_usage, write_usage
from send2llm.infrastructure.formats.gemini.writing_parts import write_part

FILTERED = "content_filter"

_FINISH_REASONS: Mapping[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION", "PUP_LIMITED_DISABLED", "MODEL_ARMOR",
        ),
        FILTERED,
    ),
}  # fmt: skip

_MISTAKES = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"})
"""The model wrote what is no answer; another try may go better."""

_WRITTEN = {"length": "MAX_TOKENS", FILTERED: "SAFETY"}


def parse_reply(body: bytes) -> Body:
    """The JSON object of a reply or of an event of a stream; raises ``MalformedReply``."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReply(f"The provider's reply is not JSON: {error.msg} at character {error.pos}.") from None
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]  # errors of streams come in a list
    if not isinstance(parsed, dict):
        raise MalformedReply("The provider's reply is JSON, but not an object.")
    if is_too_deep(body, parsed):
        raise MalformedReply(f"The provider's reply is nested more than {DEEPEST} levels deep.")
    return parsed


def read_reply(body: bytes, parsed: Body | None = None) -> Completion:
    """Read a reply, ``parsed`` already or not; raises ``MalformedReply``, ``ContentFiltered``."""
    if parsed is None:
        parsed = parse_reply(body)
    refuse_blocked(parsed)
    try:
        candidates = optional_list(parsed, "candidates")
        if not candidates:
            raise missing("a list with at least one candidate", "candidates")
        response_id = optional_string(parsed, "responseId") or ""
        answers = [_answer(candidate, place, response_id) for place, candidate in enumerate(candidates)]
        return Completion(
            answers=tuple(answer for _, answer in sorted(answers, key=lambda answer: answer[0])),
            response_id=response_id,
            response_model=optional_string(parsed, "modelVersion") or "",
            usage=read_usage(parsed.get("usageMetadata")),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from a provider."""
    return MalformedReply(f"The provider's reply is not in Gemini's format: {error}")


def refuse_blocked(parsed: Body) -> None:
    """Raise ``ContentFiltered`` if Google blocked the prompt, which it says instead of an answer."""
    feedback = parsed.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if reason and not parsed.get("candidates"):
        blocked = ContentFiltered(
            f"Google blocked the prompt ({str(reason)[:80]}). Change it, or ask another provider."
        )
        blocked.may_be_charged = True  # the prompt was read
        raise blocked


def _answer(candidate: object, place: int, response_id: str) -> tuple[int, Answer]:
    try:
        candidate = an_object(candidate)
        index = index_of(candidate, place)
        content = optional_object(candidate, "content") or {}
        parts = tuple(read_parts(content, CallIds(response_id, index)))
        reason = finish_reason(candidate, called=any(isinstance(part, ToolCallPart) for part in parts))
    except WrongFieldError as error:
        raise error.within("candidates", place) from None
    extras = unknown_fields(content, frozenset({"role", "parts"})) or NO_EXTRAS
    return index, Answer(Message("assistant", parts, extras=extras, format=FORMAT), reason or ASSUMED_FINISH_REASON)


def index_of(candidate: Body, place: int) -> int:
    """Which of the answers it is."""
    index = candidate.get("index", place)
    if type(index) is not int:
        raise wrong("an integer", index, "index")
    return index


def finish_reason(candidate: Body, *, called: bool) -> str | None:
    """OpenAI's word for why the answer ended, ``None`` while it has not.

    Raises ``MalformedReply`` if the model made a mistake that is no answer, ``RequestRejected``.
    """
    reason = optional_string(candidate, "finishReason")
    if not reason or reason == "FINISH_REASON_UNSPECIFIED":
        return None
    if reason in _MISTAKES:
        raise MalformedReply(f"The model wrote something that Google could not read as an answer ({reason}).")
    if reason == "MISSING_THOUGHT_SIGNATURE":
        raise RequestRejected("Gemini misses the signature of a thought; start the conversation anew.")
    word = _FINISH_REASONS.get(reason, ASSUMED_FINISH_REASON)
    return "tool_calls" if called and word == ASSUMED_FINISH_REASON else word


def read_parts(content: Body, ids: "CallIds") -> Iterable[ContentPart]:
    """The parts of an answer; raises ``WrongFieldError``."""
    bodies = content.get("parts")
    if bodies is not None and not isinstance(bodies, list):
        raise wrong("a list", bodies, "content", "parts")
    for place, body in enumerate(bodies or ()):
        try:
            part = read_part(body, ids.next)
        except WrongFieldError as error:
            raise error.within("content", "parts", place) from None
        if isinstance(part, ToolCallPart):
            ids.count += 1
        yield part


class CallIds:
    """Ids for the calls of one answer that came without: the same ones for the same answer, others for each other."""

    def __init__(self, response_id: str, index: int) -> None:
        known = re.sub(r"[^\w-]", "", response_id, flags=re.ASCII)[:40]
        self._beginning = f"call_{known}_{index}" if index else f"call_{known}"
        self.count = 0

    @property
    def next(self) -> str:
        """The id for the call that comes now."""
        return f"{self._beginning}_{self.count}"


def write_reply(completion: Completion, target: Target) -> Body:
    """The body of a reply, from a completion of any format."""
    body: Body = {
        "candidates": [_candidate(answer, index, target) for index, answer in enumerate(completion.answers)],
        "modelVersion": completion.response_model,
        "responseId": completion.response_id,
    }
    if completion.usage is not None:
        body["usageMetadata"] = write_usage(completion.usage)
    return body


def _candidate(answer: Answer, index: int, target: Target) -> Body:
    parts, ours = answer.message.parts, answer.message.format == FORMAT
    # Callers get to see the thoughts of any format.
    seen = (part if ours or not isinstance(part, ReasoningPart) else ReasoningPart(part.text) for part in parts)
    written = (write_part(part, target, ours=ours or isinstance(part, ReasoningPart)) for part in seen)
    content = {"parts": [part for part in written if part is not None], "role": "model"}
    return {"content": content, "finishReason": write_finish_reason(answer.finish_reason), "index": index}


def write_finish_reason(word: str) -> str:
    """Gemini's word for why an answer ended."""
    return _WRITTEN.get(word, "STOP")
