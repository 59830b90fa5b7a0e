"""Messages of OpenAI's chat completions, read into the domain.

Format: https://platform.openai.com/docs/api-reference/chat/create (``messages``).
"""

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_list,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)

FORMAT = "openai"
"""The name of this wire format in the domain."""

LEGACY_ROLE = "function"
"""The role of results from before there were tools: they name a function, not a call."""

_PLAIN_FIELDS = frozenset({"role", "content", "name"})
_ASSISTANT_FIELDS = frozenset({"role", "content", "name", "refusal", "tool_calls"})
REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put what the model thought: DeepSeek, xAI, Qwen, Moonshot; Groq, OpenRouter, Cerebras, newer vLLM."""
_TOOL_FIELDS = frozenset({"role", "content", "name", "tool_call_id"})
_TEXT_FIELDS = frozenset({"type", "text"})
_IMAGE_FIELDS = frozenset({"type", "image_url"})
_IMAGE_URL_FIELDS = frozenset({"url", "detail"})
# The type of these two stays among the extras: it tells them from a tool call of a function, and from a
# refusal in the message's own field of that name.
_REFUSAL_FIELDS = frozenset({"refusal"})
_CUSTOM_CALL_FIELDS = frozenset({"id", "custom"})
_TOOL_CALL_FIELDS = frozenset({"id", "type", "function"})
_FUNCTION_FIELDS = frozenset({"name", "arguments"})
_CUSTOM_FIELDS = frozenset({"name", "input"})


def read_message(body: object) -> Message:
    """One message of a request; raises ``WrongFieldError``."""
    body = an_object(body)
    role = body.get("role")
    if role in ("user", "system", "developer"):
        content = body.get("content")
        if len(body) == 2 and isinstance(content, str):
            return Message(role, (TextPart(content),))
        return _plain(body, role, _required_content(content))
    if role == "assistant":
        return read_assistant(body)
    if role == "tool":
        return _tool(body, required_string(body, "tool_call_id"), unknown_fields(body, _TOOL_FIELDS))
    if role == LEGACY_ROLE:
        return _tool(body, "", {**unknown_fields(body, _TOOL_FIELDS), "role": LEGACY_ROLE})
    if role is None:
        raise missing("system, developer, user, assistant or tool", "role")
    if not isinstance(role, str):
        raise wrong("a string", role, "role")
    raise WrongFieldError(f"must be system, developer, user, assistant or tool, not {role[:40]!r}", "role")


def _plain(body: Body, role: Role, parts: tuple[ContentPart, ...]) -> Message:
    return Message(role, parts, optional_string(body, "name"), unknown_fields(body, _PLAIN_FIELDS) or NO_EXTRAS)


def read_assistant(body: Body) -> Message:
    """What a model said, in a request or in a reply; raises ``WrongFieldError``."""
    content = body.get("content")
    parts = () if content is None else _content(content)
    extras = unknown_fields(body, _ASSISTANT_FIELDS)
    if extras:
        parts = (*reasoning_of(extras), *parts)
    refusal = optional_string(body, "refusal")
    if refusal is not None:
        parts += (RefusalPart(refusal),)
    tool_calls = optional_list(body, "tool_calls")
    if tool_calls:
        parts += tuple(_tool_call(call, index) for index, call in enumerate(tool_calls))
    return Message("assistant", parts, optional_string(body, "name"), extras or NO_EXTRAS)


def reasoning_of(extras: Body) -> tuple[ReasoningPart, ...]:
    """Take the thought out of a message's further fields; the name of its field stays with it, if it is unusual."""
    for field in REASONING_FIELDS:
        text = extras.get(field)
        if isinstance(text, str):
            del extras[field]
            usual = field == REASONING_FIELDS[0]
            return (ReasoningPart(text, extras=NO_EXTRAS if usual else {"field": field}),)
    return ()


def _tool(body: Body, tool_call_id: str, extras: Body) -> Message:
    """A tool's result: one result part for each text part, all for the same call."""
    parts: list[ContentPart] = [
        ToolResultPart(tool_call_id, part.text, extras=part.extras) if isinstance(part, TextPart) else part
        for part in _required_content(body.get("content"))
    ]
    if tool_call_id and not any(isinstance(part, ToolResultPart) for part in parts):
        extras["tool_call_id"] = tool_call_id
    return Message("tool", tuple(parts), optional_string(body, "name"), extras or NO_EXTRAS)


def _required_content(content: object) -> tuple[ContentPart, ...]:
    if content is None:
        raise missing("a string or a list of parts", "content")
    return _content(content)


def _content(content: object) -> tuple[ContentPart, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    if not isinstance(content, list):
        raise wrong("a string or a list of parts", content, "content")
    if not content:
        raise WrongFieldError("must not be an empty list", "content")
    parts = []
    for index, part in enumerate(content):
        try:
            parts.append(_part(part))
        except WrongFieldError as error:
            raise error.within("content", index) from None
    return tuple(parts)


def _part(body: object) -> ContentPart:
    body = an_object(body)
    kind = required_string(body, "type")
    if kind == "text":
        return TextPart(required_string(body, "text"), extras=unknown_fields(body, _TEXT_FIELDS) or NO_EXTRAS)
    if kind == "image_url":
        return _image(body)
    if kind == "refusal":
        return RefusalPart(required_string(body, "refusal"), extras=unknown_fields(body, _REFUSAL_FIELDS))
    if kind == "tokens":  # counted by their number, which holds only where nothing else could be made of them
        raise WrongFieldError("must not be tokens: they are for embeddings only", "type")
    return ForeignPart(FORMAT, body)


def _image(body: Body) -> ImagePart:
    image = body.get("image_url")
    if image is None:
        raise missing('an object such as {"url": "https://..."}', "image_url")
    if isinstance(image, str):  # as Mistral's API has it; everyone understands the object
        image = {"url": image}
    image = an_object(image, "image_url")
    extras = unknown_fields(body, _IMAGE_FIELDS)
    further = unknown_fields(image, _IMAGE_URL_FIELDS)
    if further:
        extras["image_url"] = further
    try:
        return ImagePart(required_string(image, "url"), optional_string(image, "detail"), extras=extras or NO_EXTRAS)
    except WrongFieldError as error:
        raise error.within("image_url") from None


def _tool_call(body: object, index: int) -> ToolCallPart:
    try:
        body = an_object(body)
        identifier = optional_string(body, "id") or ""
        custom = body.get("type") == "custom"
        key, text = ("custom", "input") if custom else ("function", "arguments")
        function = body.get(key)
        if function is None:
            raise missing("an object", key)
        function = an_object(function, key)
        extras = unknown_fields(body, _CUSTOM_CALL_FIELDS if custom else _TOOL_CALL_FIELDS)
        further = unknown_fields(function, _CUSTOM_FIELDS if custom else _FUNCTION_FIELDS)
        if further:
            extras[key] = further
        try:
            name, arguments = required_string(function, "name"), optional_string(function, text) or ""
        except WrongFieldError as error:
            raise error.within(key) from None
        return ToolCallPart(identifier, name, arguments, extras=extras or NO_EXTRAS)
    except WrongFieldError as error:
        raise error.within("tool_calls", index) from None
