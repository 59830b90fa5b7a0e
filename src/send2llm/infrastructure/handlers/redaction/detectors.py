"""Finds secrets and personal data in texts.

Each detector looks for a sign first that is in every text in which it finds something: most texts have none.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType

from send2llm.infrastructure.handlers.redaction.numbers import Span, cards, ibans

Find = Callable[[str], Iterable[Span]]
"""Where a detector finds something in a text."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_JWT = re.compile(r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_API_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek
    r"|gsk_[A-Za-z0-9]{20,}"  # Groq
    r"|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|nvapi-[A-Za-z0-9_-]{20,}"
    r"|tgp_v1_[A-Za-z0-9_-]{20,}|fw_[A-Za-z0-9]{20,}|csk-[A-Za-z0-9]{20,}"  # Together, Fireworks, Cerebras
    r"|AIza[A-Za-z0-9_-]{30,}"  # Google
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"  # GitHub, GitLab
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|[rs]k_live_[A-Za-z0-9]{16,}"  # Slack, Stripe
    r")"
)
_API_KEY_SIGNS = (
    "sk-", "gsk_", "xai-", "pplx-", "hf_", "r8_", "nvapi-", "tgp_v1_", "fw_", "AIza", "AKIA", "ASIA",
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_",
)  # fmt: skip
_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,63})(?![\w-])"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IP_V4 = re.compile(rf"(?<![\w.])(?:{_BYTE}\.){{3}}{_BYTE}(?!\w|\.\d)")
_IP_V6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{2,45}(?!\w)")
"""What may be one; the longest has 45 characters."""

_DIGITS = re.compile(r"\d(?:[^\w\n]{0,3}\d){6}")
"""As many digits, close together, as the shortest of numbers that can be called."""
_INTERNATIONAL = re.compile(r"[+\uff0b](?:[^\w\n]{0,3}\d){7}")
_LONGEST_PHONE = 60
"""Characters, with all that people write between digits."""


def private_keys(text: str) -> Iterator[Span]:
    """PEM and PGP private keys, whole; one without an end goes to the end of the text."""
    return _spans(_PRIVATE_KEY, text) if "PRIVATE KEY" in text else iter(())


def jwts(text: str) -> Iterator[Span]:
    """JSON Web Tokens."""
    return _spans(_JWT, text) if "eyJ" in text else iter(())


def api_keys(text: str) -> Iterator[Span]:
    """Keys of model providers, clouds and code hosts, by their beginnings."""
    return _spans(_API_KEY, text) if any(sign in text for sign in _API_KEY_SIGNS) else iter(())


def emails(text: str) -> Iterator[Span]:
    """E-mail addresses."""
    return _spans(_EMAIL, text) if "@" in text else iter(())


def ip_addresses(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses."""
    if text.count(":") > 1:
        for match in _IP_V6.finditer(text):
            found = match[0].rstrip(".")  # the end of a sentence
            if found.endswith(":") and not found.endswith("::"):
                found = found[:-1]
            if found.count(":") > 1 and _is_ip(found):
                yield match.start(), match.start() + len(found)
    if text.count(".") > 2:
        yield from _spans(_IP_V4, text)


def phone_numbers(region: str | None) -> Find:
    """Telephone numbers as ``phonenumbers`` knows them.

    International ones, and those of the ``region`` as one dials them there.
    """

    def find(text: str, begin: int = 0, end: int | None = None) -> Iterator[Span]:
        import phonenumbers  # noqa: PLC0415 - its data is large: only who looks for telephone numbers shall load it

        for match in phonenumbers.PhoneNumberMatcher(text[begin:end], region):
            # A bracket that is opened before the country code is not of the number.
            yield begin + match.start + match.raw_string.startswith("(+"), begin + match.end

    def international(text: str) -> Iterator[Span]:
        """Looks closely only where a plus sign and digits are, because to look takes a microsecond a character."""
        last = 0
        for sign in _INTERNATIONAL.finditer(text):
            begin = max(last, sign.start() - 1)
            for span in find(text, begin, begin + _LONGEST_PHONE):
                if span[0] <= sign.start() + 1:
                    last = span[1]
                    yield span

    def dialled(text: str) -> Iterator[Span]:
        return find(text) if _DIGITS.search(text) else iter(())

    return international if region is None else dialled


DETECTORS: Mapping[str, Find] = MappingProxyType(
    {
        "private_key": private_keys,
        "jwt": jwts,
        "api_key": api_keys,
        "email": emails,
        "iban": ibans,
        "credit_card": cards,
        "ip": ip_addresses,
        "phone": phone_numbers(None),
    }
)
"""By kind. Where two find something at the same place, the first counts."""


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
