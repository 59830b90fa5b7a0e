"""What is asked of a model and what comes back."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from send2llm.domain.message import (
    ContentPart,
    EmbeddingPart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    no_extras,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Billable tokens of one call.

    ``cache_read_input_tokens`` and ``cache_write_input_tokens`` are parts of ``input_tokens``;
    ``reasoning_output_tokens`` is a part of ``output_tokens`` (as in the OpenTelemetry GenAI conventions).
    ``cache_write_1h_input_tokens`` are those of the written ones that are kept for an hour, which costs more.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    cache_write_1h_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EmbeddingParameters:
    """Embeddings are wanted, one for each part of the messages, and not an answer.

    ``dimensions`` shortens the vectors where the model can do that. ``purpose`` is what they are for, in Cohere's
    words (``search_document``, ``search_query``, ``classification``, ``clustering``).
    """

    dimensions: int | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the model shall answer; ``None`` leaves the choice to the provider.

    ``tools``, ``tool_choice`` and ``response_format`` are in the shape of OpenAI's chat completions; a tool may hold
    a further object under the name of a wire format, which goes to providers of that format only, and a tool of the
    type ``foreign`` (``format``, ``body``) is known to one format only. ``reasoning_effort`` is OpenAI's word
    (``minimal``, ``low``, ``medium``, ``high`` ...), ``reasoning_tokens`` the most tokens of thought, 0 for none if the
    model can do without. ``extras`` are the caller's further fields, known only to ``format``, the wire format they
    came in: a provider of another format does not get them, and the call is refused if they matter.
    """

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    choices: int = 1
    tools: tuple[JsonObject, ...] = ()
    tool_choice: str | JsonObject | None = None
    response_format: JsonObject | None = None
    format: str = "openai"
    extras: JsonObject = field(default_factory=no_extras)
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    reasoning_tokens: int | None = None
    embedding: EmbeddingParameters | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers to a request; ``finish_reason`` is OpenAI's word (``stop``, ``length``, ``tool_calls``)."""

    message: Message
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A provider's whole reply: one answer, or several when several ``choices`` were asked for.

    ``usage`` is what the provider reported, ``None`` when it reported nothing. ``body`` is the reply as it
    came over the wire in ``format``, so that a client of the same format gets every byte of it.
    """

    answers: tuple[Answer, ...]
    response_id: str = ""
    response_model: str = ""
    usage: Usage | None = None
    reported_cost_usd: Decimal | None = None
    format: str = ""
    body: bytes = b""


def believed(completion: Completion) -> Completion:
    """Without a usage that cannot be: nothing read, or nothing written although something is there.

    Half of a report is none: to charge by it would make a call cheaper than it was.
    """
    usage = completion.usage
    if usage is None or (usage.input_tokens and (usage.output_tokens or not _says_anything(completion))):
        return completion
    return replace(completion, usage=None)


def _says_anything(completion: Completion) -> bool:
    return any(
        not isinstance(part, EmbeddingPart) and (not isinstance(part, TextPart) or part.text)
        for answer in completion.answers
        for part in answer.message.parts
    )


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call; pieces with the same ``index`` belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(slots=True)
class Delta:
    """One piece of a stream.

    ``part`` is the place of the content part in the answer that the piece belongs to, where the format numbers them;
    pieces without one belong to the answer's one thought, one text, or one refusal. ``part_extras`` belong to that
    part, ``extras`` to the message. ``parts`` are parts that come whole.

    ``raw`` is the event that the piece came in, in the provider's wire ``format``, framing included; ``b""`` when
    another piece of the same event carries it, ``None`` when there are no such bytes and the piece has to be written.
    """

    text: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    index: int = 0
    role: Role | None = None
    extras: JsonObject = field(default_factory=no_extras)
    response_id: str = ""
    response_model: str = ""
    reported_cost_usd: Decimal | None = None
    raw: bytes | None = None
    format: str = ""
    reasoning: str = ""
    reasoning_signature: str = ""
    part: int | None = None
    part_extras: JsonObject | None = None
    parts: tuple[ContentPart, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether it holds a piece of an answer, and not just its beginning, its end, or a count."""
        return bool(
            self.text
            or self.tool_calls
            or self.reasoning
            or self.refusal
            or self.parts
            or self.reasoning_signature
            or self.extras
        )


def deltas_of(completion: Completion) -> list[Delta]:
    """A whole completion as the pieces of a stream: each answer part by part, its end, and last the usage."""
    deltas: list[Delta] = []
    for index, answer in enumerate(completion.answers):
        message = answer.message
        deltas.append(Delta(role="assistant", index=index, extras=message.extras, format=message.format))
        calls = 0
        for place, part in enumerate(message.parts):
            delta = _delta_of(part, index, place, calls)
            delta.format = message.format
            calls += len(delta.tool_calls)
            deltas.append(delta)
        deltas.append(Delta(finish_reason=answer.finish_reason, index=index))
    if completion.usage is not None:
        deltas.append(Delta(usage=completion.usage))
    return deltas


def _delta_of(part: ContentPart, index: int, place: int, calls: int) -> Delta:
    match part:
        case TextPart(text=text, extras=extras):
            return Delta(text=text, index=index, part=place, part_extras=extras)
        case ReasoningPart(text=text, signature=signature, extras=extras):
            return Delta(reasoning=text, reasoning_signature=signature, index=index, part=place, part_extras=extras)
        case RefusalPart(refusal=refusal, extras=extras):
            return Delta(refusal=refusal, index=index, part=place, part_extras=extras)
        case ToolCallPart(id=id_, name=name, arguments=arguments, extras=extras):
            call = ToolCallDelta(calls, id_, name, arguments, extras)
            return Delta(tool_calls=(call,), index=index, part=place)
        case _:
            return Delta(parts=(part,), index=index, part=place)
