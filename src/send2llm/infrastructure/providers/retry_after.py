"""How long a provider wants us to wait."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 24 * 3600.0
"""Seconds; whoever asks for more has sent something else, such as a time since 1970."""

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+"
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_IN_WORDS = re.compile(rf"(?:try again|retry) (?:in|after) ({_DURATION}|\d+(?:\.\d+)? ?seconds?)", re.IGNORECASE)


def retry_after(headers: Mapping[str, str], message: str = "", wait: str = "") -> float | None:
    """Seconds to wait, from the headers of a reply or, where they are silent, from its body.

    In this order: ``retry-after-ms``, ``retry-after`` (seconds or a date, which is taken from the reply's own
    ``date``: nobody's clock but the provider's counts), the ``wait`` in a field of the body, words in its ``message``
    such as "try again in 7.66s", and the ``x-ratelimit-reset-...`` of what the headers say is used up.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _sensible(milliseconds / 1000)
    header = headers.get("retry-after")
    if header:
        seconds = _number(header)
        return _sensible(seconds if seconds is not None else _until(header, headers.get("date", "")))
    if wait:
        return _sensible(duration(wait))
    words = _IN_WORDS.search(message)
    if words:
        return _sensible(duration(words.group(1)))
    return _sensible(_reset_of_what_is_used_up(headers))


def duration(text: str) -> float | None:
    """Seconds in a duration such as ``6m0s``, ``120ms``, ``1.5`` or ``20 seconds``."""
    text = text.strip().lower().removesuffix("seconds").removesuffix("second").strip()
    seconds = _number(text)
    if seconds is None and re.fullmatch(_DURATION, text):
        seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    return seconds


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if re.fullmatch(r"\d+(?:\.\d+)?", text) else None


def _until(date: str, now: str) -> float | None:
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds()
    except (ValueError, TypeError):  # not dates, or one of them without a time zone
        return None


def _reset_of_what_is_used_up(headers: Mapping[str, str]) -> float | None:
    waits = [
        duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _sensible(seconds: float | None) -> float | None:
    return None if seconds is None or seconds > LONGEST_WAIT else max(0.0, seconds)
