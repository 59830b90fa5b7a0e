"""Parts of messages, written as Gemini has them.

Format: https://ai.google.dev/api/caching#Part.
"""

import base64
from mimetypes import guess_type
from urllib.parse import unquote_to_bytes, urlsplit

import orjson

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats.depth import is_too_deep
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_part
from send2llm.infrastructure.formats.gemini.reading_parts import DETAILS, FORMAT, SIGNATURE
from send2llm.infrastructure.formats.gemini.target import Target

_LEVELS = {detail: level for level, detail in DETAILS.items()}


def write_part(part: ContentPart, target: Target, *, ours: bool) -> Body | None:
    """The part; ``None`` for a thought that belongs to another format, which says nothing to Gemini.

    ``ours``: its extras are Gemini's. Raises ``RequestRejected``.
    """
    extras = dict(getattr(part, "extras", NO_EXTRAS)) if ours else {}
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return {"text": text, **extras}
        case ReasoningPart(text=text, signature=signature):
            signed = {SIGNATURE: signature} if signature else {}
            return {"text": text, "thought": True, **signed, **extras} if ours else None
        case ToolCallPart(id=id_, name=name, arguments=arguments):
            call = {"name": name, "args": _arguments(name, arguments), **extras.pop("functionCall", {})}
            return {"functionCall": {"id": id_, **call} if id_ else call, **extras}
        case ImagePart():
            return _image(part, target, extras)
        case ForeignPart(format="gemini", body=body):
            return dict(body)
        case _:
            raise refuse_foreign_part(part, FORMAT)


def _arguments(name: str, text: str) -> object:
    try:
        arguments = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict) or is_too_deep(text.encode(), arguments):
        raise RequestRejected(
            f"The arguments of a call of the tool {name[:80]!r} are no JSON object, and Gemini takes nothing else. "
            "Leave the call out, or send the conversation to a provider of another format."
        )
    return arguments


def _image(image: ImagePart, target: Target, extras: Body) -> Body:
    if image.url.startswith("data:"):
        body: Body = {"inlineData": {**_data(image.url), **extras.pop("inlineData", {})}}
    else:
        body = {"fileData": _file(image.url, target, extras.pop("fileData", NO_EXTRAS))}
    if image.detail in _LEVELS:
        if target.is_before_gemini_3:
            raise cannot_say("image_url.detail (for a model before Gemini 3)", FORMAT)
        body["mediaResolution"] = {"level": _LEVELS[image.detail]}
    elif image.detail not in (None, "auto"):
        raise cannot_say(f"image_url.detail ({image.detail[:40]})", FORMAT)
    return body | extras


def _data(url: str) -> Body:
    """The contents of a ``data:`` URL (RFC 2397)."""
    head, comma, content = url.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    if not comma or not kind:
        raise RequestRejected("A picture's data: URL must begin as data:image/png;base64, does.")
    if "base64" not in parameters:
        content = base64.b64encode(unquote_to_bytes(content)).decode()
    return {"mimeType": kind, "data": content}


def _file(url: str, target: Target, known: JsonObject) -> Body:
    """A picture on the web, which Google fetches.

    https://ai.google.dev/gemini-api/docs/file-input-methods; Vertex AI wants its type, which only its name can tell.
    """
    if not target.reads_urls:
        raise RequestRejected(
            f"The model {target.model[:80]!r} does not read pictures at URLs. Send the picture in a data: URL, or use "
            "a newer model."
        )
    kind = known.get("mimeType") or guess_type(urlsplit(url).path)[0]
    if kind is None and target.needs_file_type:
        raise RequestRejected(
            "Vertex AI has to be told the type of a picture, and this one's URL does not end as .png or .jpg do. "
            "Send the picture in a data: URL."
        )
    return {**({"mimeType": kind} if kind else {}), "fileUri": url, **known}
