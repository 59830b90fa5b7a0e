"""What providers say in the bodies of their errors: many shapes, one meaning."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

LONGEST_MESSAGE = 500
"""Characters of a provider's message that are passed on."""

LARGEST_BODY = 64 * 1024
"""Bytes of an error body that are looked at."""

_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The provider's ``message`` in one short line, its ``codes`` (code and type), and its ``status`` if it has one.

    ``wait`` is how long it wants us to wait, such as ``34s``, where it says so in the body.
    """

    message: str = ""
    codes: frozenset[str] = frozenset()
    status: int | None = None
    wait: str = ""


def read_error_body(body: bytes) -> ErrorBody:
    """Read the body of an error reply: JSON of any known shape, HTML or text."""
    body = body[:LARGEST_BODY]
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ErrorBody(_text(body.decode("utf-8", "replace")))
    return read_error(parsed)


def read_error(parsed: Any) -> ErrorBody:
    """Read a parsed error.

    Known shapes: OpenAI's ``{"error": {"message", "type", "code"}}``, its contents bare (vLLM), ``{"error": "text"}``
    (Ollama), ``{"detail": ...}`` (FastAPI), ``{"message"}`` or ``{"Message"}`` (AWS), Google's, with ``details`` and
    also in a list, and OpenRouter's, which hold the error of the provider behind it as text in ``metadata.raw``.
    """
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return ErrorBody(_text(parsed) if isinstance(parsed, str) else "")
    error = parsed.get("error")
    if isinstance(error, str):
        return ErrorBody(_text(error), _codes(parsed))
    if not isinstance(error, dict):
        error = parsed
    message = error.get("message") or error.get("Message") or error.get("detail") or ""
    if not isinstance(message, str):
        message = orjson.dumps(message).decode()
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        message = f"{message}: {metadata['raw']}"
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    codes, wait = _details(error.get("details"))
    codes |= _codes(error) | _codes(error.get("innererror")) | _codes(metadata)
    return ErrorBody(_text(message), codes, status, wait)


def _details(details: object) -> tuple[frozenset[str], str]:
    """What Google adds: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto.

    ``ErrorInfo.reason`` is a code, ``RetryInfo.retryDelay`` a duration, and a ``QuotaFailure`` names the quotas that
    are used up, of which those for a day become the code ``quota_per_day``.
    """
    codes, wait = set(), ""
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        if isinstance(detail.get("reason"), str):
            codes.add(detail["reason"].lower())
        if isinstance(detail.get("retryDelay"), str):
            wait = detail["retryDelay"]
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "perday" in str(violation.get("quotaId")).lower():
                codes.add("quota_per_day")
    return frozenset(codes), wait


def error_type(headers: Mapping[str, str]) -> frozenset[str]:
    """The code that AWS has in a header, ``x-amzn-errortype: ThrottlingException:http://...``."""
    name = headers.get("x-amzn-errortype", "").split(":")[0].lower()
    return frozenset({name}) if name else frozenset()


def _codes(error: object) -> frozenset[str]:
    if not isinstance(error, dict):
        return frozenset()
    names = (error.get(field) for field in ("code", "type", "status", "error_type"))
    return frozenset(name.lower() for name in names if isinstance(name, str))


def _text(text: str) -> str:
    """One line of at most ``LONGEST_MESSAGE`` characters; of a page, its title or its words."""
    if text.lstrip().startswith("<"):
        title = _TITLE.search(text)
        text = title.group(1) if title else _TAGS.sub(" ", text)
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"
