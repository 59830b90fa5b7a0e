"""Messages of the domain, written as Gemini's ``contents`` and ``systemInstruction``.

Format: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling.

Consecutive messages of one role become one content. Results of tools stand in contents of their own: Gemini wants as
many results behind a content with calls as there are calls, and no other part among them.
"""

from collections.abc import Iterable, Sequence

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import ContentPart, ImagePart, Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import refuse_foreign_part, require_text
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT, SIGNATURE
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.writing_parts import write_part

UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that Gemini did not make: Gemini 3 refuses calls without one.

https://ai.google.dev/gemini-api/docs/thought-signatures (frequently asked questions)
"""


def write_messages(messages: Iterable[Message], target: Target) -> Body:
    """``contents``, and ``systemInstruction`` if there is one; raises ``RequestRejected``."""
    transcript = _Transcript(target)
    for message in messages:
        transcript.add(message)
    return transcript.body()


class _Transcript:
    """What the messages so far amount to."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._system: list[Body] = []
        self._system_fields: Body = {}
        self._contents: list[Body] = []
        self._last = ""
        self._names: dict[str, str] = {}

    def body(self) -> Body:
        body: Body = {"contents": self._contents}
        if self._system:
            body["systemInstruction"] = {"parts": self._system, **self._system_fields}
        return body

    def add(self, message: Message) -> None:
        if message.role == "tool" or any(isinstance(part, ToolResultPart) for part in message.parts):
            self._add_results(message)
            return
        if message.name is not None:
            raise RequestRejected(
                "The name of who speaks (messages.name) cannot be said in Google's Gemini. Leave it out, or send the "
                "conversation to a provider whose format has it."
            )
        if message.role in ("system", "developer"):
            self._add_system(message)
        elif message.role == "assistant":
            self._names |= {call.id: call.name for call in message.tool_calls}
            self._append("model", "said", self._signed(message, self._parts(message, message.parts)), _extras(message))
        else:
            self._append("user", "said", self._parts(message, message.parts), _extras(message))

    def _add_system(self, message: Message) -> None:
        require_text(message, FORMAT)
        self._system += self._parts(message, message.parts)
        self._system_fields |= _extras(message)

    def _parts(self, message: Message, parts: Iterable[ContentPart]) -> list[Body]:
        """The parts that say something; Gemini wants no content that is empty."""
        ours = message.format == FORMAT
        written = [write_part(part, self._target, ours=ours) for part in parts]
        bodies = [body for body in written if body is not None]
        return [body for body in bodies if body != {"text": ""}] or bodies

    def _signed(self, message: Message, bodies: list[Body]) -> list[Body]:
        """The parts, with the signature that Gemini 3 wants on the first call of each answer."""
        if not self._target.is_before_gemini_3 and any(isinstance(part, ToolCallPart) for part in message.parts):
            first = next(body for body in bodies if "functionCall" in body)
            first.setdefault(SIGNATURE, UNSIGNED)
        return bodies

    def _add_results(self, message: Message) -> None:
        results: list[list[ContentPart]] = []
        others: list[ContentPart] = []
        for part in message.parts:
            if isinstance(part, ToolResultPart) and not (results and _call_id(results[-1]) == part.tool_call_id):
                results.append([part])
            elif isinstance(part, ToolResultPart) or (results and message.role == "tool"):
                results[-1].append(part)
            else:
                others.append(part)
        if message.role == "tool" and not results:
            raise RequestRejected("A tool's message holds no text; Gemini needs at least a ToolResultPart in it.")
        bodies = [self._result(message, parts) for parts in results]
        self._append("user", "results", bodies, _extras(message))
        if others:
            self._append("user", "said", self._parts(message, others), {})

    def _result(self, message: Message, parts: Sequence[ContentPart]) -> Body:
        """One result: its texts, and pictures beside them (https://ai.google.dev/gemini-api/docs/function-calling)."""
        texts = [part for part in parts if isinstance(part, ToolResultPart)]
        pictures = [part for part in parts if isinstance(part, ImagePart)]
        identifier = texts[0].tool_call_id
        fields = dict(texts[0].extras) if message.format == FORMAT else {}
        name = self._names.get(identifier) or message.name or fields.get("name")
        if not name:
            raise RequestRejected(
                f"Gemini needs the name of the tool with each result, and the conversation has no call "
                f"{identifier[:80]!r} that would tell it. Send the call before its result."
            )
        if pictures and self._target.is_before_gemini_3:
            raise RequestRejected("A tool's result with a picture needs Gemini 3 or newer; send its text only.")
        said = "".join(part.text if isinstance(part, TextPart) else part.content for part in _texts(parts))
        failed = any(part.is_error for part in texts)
        result: Body = {"id": identifier} if identifier else {}
        result |= {"name": name, "response": {"error" if failed else "output": said}}
        if pictures:
            result["parts"] = self._parts(message, pictures)
        return {"functionResponse": result | fields}

    def _append(self, role: str, kind: str, parts: list[Body], extras: Body) -> None:
        if not parts:
            return  # nothing was said, so nothing is lost
        last = self._contents[-1] if self._contents else {}
        if last.get("role") == role and self._last == kind and not extras and last.keys() == {"role", "parts"}:
            last["parts"] += parts
            return
        self._contents.append({"role": role, "parts": parts, **extras})
        self._last = kind


def _call_id(parts: Sequence[ContentPart]) -> str:
    first = parts[0]
    return first.tool_call_id if isinstance(first, ToolResultPart) else ""


def _texts(parts: Sequence[ContentPart]) -> Iterable[TextPart | ToolResultPart]:
    for part in parts:
        if isinstance(part, TextPart | ToolResultPart):
            yield part
        elif not isinstance(part, ImagePart):
            raise refuse_foreign_part(part, FORMAT)


def _extras(message: Message) -> Body:
    return dict(message.extras) if message.format == FORMAT else {}
