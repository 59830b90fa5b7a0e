"""How many tokens a picture can have, by the rules that providers publish.

OpenAI: https://developers.openai.com/api/docs/guides/images-vision; Anthropic:
https://platform.claude.com/docs/en/build-with-claude/vision; Google: https://ai.google.dev/gemini-api/docs/tokens.
"""

from dataclasses import dataclass
from math import ceil
from typing import Protocol

from send2llm.domain.message import ImagePart
from send2llm.domain.upper_bound.image_size import ImageSize, size_in_url

IMAGE_MARK_TOKENS = 16
"""Marks before and after a picture, and a label such as ``Image 1:``."""


class ImageRule(Protocol):
    """How a family of models counts a picture."""

    def tokens(self, size: ImageSize | None, detail: str | None) -> int:
        """The most tokens of a picture; ``size`` is ``None`` when it is not known."""


@dataclass(frozen=True, slots=True)
class Patches:
    """One token for each square of ``side`` pixels, up to ``budget`` squares, times ``percent``; never below ``least``.

    Larger pictures are scaled down to the budget or refused.
    """

    side: int
    budget: int
    percent: int = 100
    least: int = 0

    def tokens(self, size: ImageSize | None, detail: str | None) -> int:  # noqa: ARG002 - "low" is no dearer
        """The most tokens of a picture."""
        patches = self.budget
        if size is not None:
            patches = min(patches, ceil(size.width / self.side) * ceil(size.height / self.side))
        return max(self.least, ceil(patches * self.percent / 100))


@dataclass(frozen=True, slots=True)
class Tiles:
    """OpenAI's older rule: ``base`` tokens and ``each`` for each tile of 512 x 512 pixels; ``low`` detail is the base.

    The picture is scaled into 2048 x 2048 pixels and then to a shorter side of 768: at most 2 x 4 tiles. Whether small
    pictures are scaled up is not said, so they are taken to be.
    """

    base: int
    each: int

    def tokens(self, size: ImageSize | None, detail: str | None) -> int:
        """The most tokens of a picture."""
        if detail == "low":
            return self.base
        along = 4
        if size is not None and size.width and size.height:
            ratio = max(size.width, size.height) / min(size.width, size.height)
            along = min(along, ceil(768 * ratio / 512))
        return self.base + self.each * 2 * along


GPT_4O_TILES = Tiles(85, 170)
"""gpt-4o, gpt-4.1, gpt-4-turbo; the o-series (75, 150) and gpt-5 (70, 140) are below it."""

GPT_4O_MINI_TILES = Tiles(2833, 5667)
"""gpt-4o-mini alone: pictures shall cost as much as with gpt-4o, so that they have more of its cheaper tokens."""

GPT_MINI_PATCHES = Patches(32, 1536, 246)
"""gpt-4.1-mini (1.62), gpt-5-mini (1.62), o4-mini (1.72) and the nano models (2.46)."""

CLAUDE_PATCHES = Patches(28, 4784)
"""Claude's high resolution tier; others stop at 1568."""

ANY_PATCHES = Patches(28, 30_000, 120, least=3840)
"""All others: the most of the rules of

- gpt-5.2 and newer: squares of 32 pixels times 1.2; up to 30,000 of them at ``original`` detail, which is also what
  ``auto`` means since gpt-5.6 (more are refused);
- Qwen-VL and its kin: squares of 28 pixels, at most 16,384;
- models that give even small pictures many tokens: Gemini 3 (2,240), LLaVA-NeXT (2,880), InternVL (3,328), and the
  mini models above (3,779).
"""


def most_image_tokens(image: ImagePart, rule: ImageRule) -> int:
    """The most tokens of ``image`` for a model that counts by ``rule``."""
    return rule.tokens(size_in_url(image.url), image.detail) + IMAGE_MARK_TOKENS
