"""What is asked of a model and what comes back."""

from dataclasses import dataclass, field
from decimal import Decimal

from send2llm.domain.message import JsonObject, Message, RefusalPart, Role, no_extras


@dataclass(frozen=True, slots=True)
class Usage:
    """Billable tokens of one call.

    ``cache_read_input_tokens`` and ``cache_write_input_tokens`` are parts of ``input_tokens``;
    ``reasoning_output_tokens`` is a part of ``output_tokens`` (as in the OpenTelemetry GenAI conventions).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the model shall answer; ``None`` leaves the choice to the provider.

    ``tools``, ``tool_choice`` and ``response_format`` are in OpenAI's shape. ``extras`` are the caller's
    further fields, known only to ``format``, the wire format they came in; only a provider of that format
    gets them.
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

    ``raw`` is the event that it came in, in the provider's format, framing included; ``b""`` when another
    piece of the same event carries it, ``None`` when there are no such bytes and the piece has to be written.
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


def deltas_of(completion: Completion) -> list[Delta]:
    """A whole completion as the pieces of a stream: each answer, its end, and last the usage."""
    deltas: list[Delta] = []
    for index, answer in enumerate(completion.answers):
        message = answer.message
        calls = [
            ToolCallDelta(place, call.id, call.name, call.arguments, call.extras)
            for place, call in enumerate(message.tool_calls)
        ]
        deltas.append(
            Delta(
                text=message.text,
                refusal="".join(part.refusal for part in message.parts if isinstance(part, RefusalPart)),
                tool_calls=tuple(calls),
                role="assistant",
                index=index,
                extras=message.extras,
            )
        )
        deltas.append(Delta(finish_reason=answer.finish_reason, index=index))
    if completion.usage is not None:
        deltas.append(Delta(usage=completion.usage))
    return deltas
