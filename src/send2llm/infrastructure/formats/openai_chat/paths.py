"""Where the parts of a message stand in a request of OpenAI's chat completions."""

from send2llm.application.field_paths import usual_path
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.openai_chat.reading_messages import REASONING_FIELDS


def path_in(body: Body, message: int | None, part: int | None) -> str:
    """The path of a message, or of one of its parts, by the numbers that they have once they are read."""
    if message is None or part is None:
        return usual_path(message, None)
    told, where = body["messages"][message], usual_path(message, None)
    fields = _fields(told)
    return f"{where}.{fields[part]}" if part < len(fields) else where


def _fields(told: Body) -> list[str]:
    """The fields that the parts come from, in their order."""
    content = told.get("content")
    fields = [f"content.{number}" for number in range(len(content))] if isinstance(content, list) else ["content"]
    if told.get("role") != "assistant":
        return fields
    thoughts = [field for field in REASONING_FIELDS if isinstance(told.get(field), str)][:1]
    refusals = ["refusal"] if told.get("refusal") is not None else []
    calls = [f"tool_calls.{number}" for number in range(len(told.get("tool_calls") or ()))]
    return [*thoughts, *(fields if content is not None else ()), *refusals, *calls]
