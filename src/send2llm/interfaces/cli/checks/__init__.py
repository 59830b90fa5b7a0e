"""What ``send2llm doctor`` looks at: each check says what it found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``remedy`` is empty when nothing needs to be done."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""
