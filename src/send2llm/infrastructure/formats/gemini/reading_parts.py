"""Parts of Gemini's contents, read into the domain.

Format: https://ai.google.dev/api/caching#Part; the names of all fields are in ``google.genai.types.Part``.
"""

import orjson

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)

FORMAT = "gemini"
"""The name of this wire format in the domain."""

SIGNATURE = "thoughtSignature"
"""The field with the ciphertext of a thought, beside a text or a call."""

DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
"""How closely a picture is looked at; Gemini's other levels have no word in the domain."""

_TEXT_FIELDS = frozenset({"text", "thought"})
_THOUGHT_FIELDS = frozenset({"text", "thought", SIGNATURE})
_CALL_FIELDS = frozenset({"id", "name", "args"})


def read_part(body: object, made_up_id: str) -> ContentPart:
    """One part; a function call without an id gets one. Raises ``WrongFieldError``."""
    body = an_object(body)
    if body.get("text") is not None:
        return read_text(body)
    if body.get("functionCall") is not None:
        return _call(body, made_up_id)
    if body.get("thought") is not True:
        image = _image(body)
        if image is not None:
            return image
    return ForeignPart(FORMAT, body)


def read_text(body: Body) -> TextPart | ReasoningPart:
    """A text, or the summary of a thought."""
    text = required_string(body, "text")
    if body.get("thought") is not True:
        return TextPart(text, extras=unknown_fields(body, _TEXT_FIELDS) or NO_EXTRAS)
    extras = unknown_fields(body, _THOUGHT_FIELDS)
    return ReasoningPart(text, optional_string(body, SIGNATURE) or "", extras=extras or NO_EXTRAS)


def _call(body: Body, made_up_id: str) -> ToolCallPart:
    try:
        call = an_object(body["functionCall"])
        name = required_string(call, "name")
        if call.get("partialArgs") or call.get("willContinue"):
            raise WrongFieldError("must come whole: arguments in pieces were not asked for", "partialArgs")
        arguments = call.get("args")
        if arguments is not None and not isinstance(arguments, dict):
            raise wrong("an object", arguments, "args")
        identifier = optional_string(call, "id")
    except WrongFieldError as error:
        raise error.within("functionCall") from None
    extras = unknown_fields(body, frozenset({"functionCall"}))
    further = unknown_fields(call, _CALL_FIELDS | {"partialArgs", "willContinue"})
    if further:
        extras["functionCall"] = further
    text = orjson.dumps(arguments or {}).decode()
    return ToolCallPart(identifier or made_up_id, name, text, extras=extras or NO_EXTRAS)


def _image(body: Body) -> ImagePart | None:
    """The picture, if the part is one that others could see, too."""
    for key, address in (("inlineData", "data"), ("fileData", "fileUri")):
        source = body.get(key)
        if not isinstance(source, dict):
            continue
        kind, content = source.get("mimeType"), source.get(address)
        if not isinstance(kind, str) or not kind.startswith("image/") or not isinstance(content, str):
            return None
        if key == "inlineData":
            return _picture(body, key, source, f"data:{kind};base64,{content}", frozenset({"mimeType", "data"}))
        if content.startswith(("http://", "https://")):
            return _picture(body, key, source, content, frozenset({"fileUri"}))
    return None


def _picture(body: Body, key: str, source: Body, url: str, known: frozenset[str]) -> ImagePart:
    extras = unknown_fields(body, frozenset({key}))
    further = unknown_fields(source, known)
    if further:
        extras[key] = further
    detail = None
    resolution = extras.get("mediaResolution")
    if isinstance(resolution, dict) and resolution.keys() == {"level"}:
        detail = DETAILS.get(str(resolution["level"]))
        if detail:
            del extras["mediaResolution"]
    return ImagePart(url, detail, extras=extras or NO_EXTRAS)
