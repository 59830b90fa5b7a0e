"""Names that OpenAI's responses have here: of the format, of answers, and of their items."""

from uuid import UUID

from send2llm.domain.continuation import EarlierAnswer

FORMAT = "responses"
"""The name of this wire format in the domain."""

PREFIX = "resp_"
_HEX = 32


def response_id(conversation_id: UUID, completion_id: UUID) -> str:
    """What an answer is called: its conversation and its completion, so that no table is needed to find it again."""
    return f"{PREFIX}{conversation_id.hex}{completion_id.hex}"


def earlier_answer(name: str) -> EarlierAnswer | None:
    """The answer of that name; ``None`` if it is no name that is given here."""
    digits = name.removeprefix(PREFIX)
    try:
        answer = EarlierAnswer(UUID(digits[:_HEX]), UUID(digits[_HEX:]))
    except ValueError:
        return None
    return answer if response_id(answer.conversation_id, answer.completion_id) == name else None


def created_at(completion_id: UUID, otherwise: int) -> int:
    """When the answer was asked for, in seconds since 1970: the time that is in its id (UUID version 7)."""
    return (completion_id.int >> 80) // 1000 if completion_id.version == 7 else otherwise
