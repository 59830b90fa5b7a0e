"""What a prompt has beside the request's own text, by family of models."""

from dataclasses import dataclass, field

from send2llm.domain.upper_bound.image_tokens import (
    ANY_PATCHES,
    CLAUDE_PATCHES,
    GPT_4O_MINI_TILES,
    GPT_4O_TILES,
    GPT_MINI_PATCHES,
    ImageRule,
)

TOKENS_PER_REQUEST = 16
"""Begin of text and the opening of the answer: 3 with OpenAI, up to 8 where the answer begins with a thought."""

TOKENS_PER_MESSAGE = 16
"""Marks around a message: 3 and 1 for a name with OpenAI, 5 with ChatML, Llama 3 and Gemma, 7 with Harmony; 4 more for
an empty thought (Qwen3). Llama 2 spells its marks out: about 20 for a system and a user message together.
"""

TOKENS_PER_PART = 4
"""Between parts: two line ends, and the space that SentencePiece puts before each piece of text."""

TOKENS_PER_TOOL_CALL = 32
"""Marks around a call: Harmony (channel, recipient, constraint), Hermes and DeepSeek about 12, XML about 20."""

TOKENS_PER_TOOL = 32
"""Marks around a tool's definition; OpenAI's are 7 to 12 tokens, in XML about 20."""

TOOL_PROMPT_TOKENS = 1024
"""The instructions that come with tools. Anthropic publishes 159 to 530, by model and choice of tool; those of open
models, which stand in their templates, have up to about 500."""

RESPONSE_FORMAT_TOKENS = 128
"""The instruction to answer by a schema; no provider publishes its own."""

HIDDEN_PROMPT_TOKENS = 1024
"""A system prompt that the caller does not see, where nothing else is known of the model. Templates of open models
bring along about 30 (Llama 3), 70 (gpt-oss) or some hundreds (Mistral Small, Command A); xAI adds one whose length it
does not publish. So this is chosen, not known: set ``hidden_prompt`` where it is known.
"""


@dataclass(frozen=True, slots=True)
class Allowances:
    """What to allow for one model.

    ``hidden_prompt`` are tokens that the provider adds to each request and bills. ``context_window`` is the most that
    the model can read: no request has more tokens than that, because a longer one is refused or cut; leave it out
    unless it is certain. ``free_fields`` are fields of requests of which the operator knows that they cost nothing.
    """

    hidden_prompt: int = HIDDEN_PROMPT_TOKENS
    images: ImageRule = ANY_PATCHES
    context_window: int | None = None
    free_fields: frozenset[str] = field(default_factory=frozenset)


ANY_MODEL = Allowances()
"""For a model of which nothing is known."""

_FAMILIES: tuple[tuple[str, Allowances], ...] = (
    ("gpt-oss", ANY_MODEL),
    ("gpt-4o-mini", Allowances(0, GPT_4O_MINI_TILES)),
    ("gpt-4.1-mini", Allowances(0, GPT_MINI_PATCHES)),
    ("gpt-4.1-nano", Allowances(0, GPT_MINI_PATCHES)),
    ("gpt-5-mini", Allowances(0, GPT_MINI_PATCHES)),
    ("gpt-5-nano", Allowances(0, GPT_MINI_PATCHES)),
    ("o4-mini", Allowances(0, GPT_MINI_PATCHES)),
    ("gpt-4o", Allowances(0, GPT_4O_TILES)),
    ("gpt-4.1", Allowances(0, GPT_4O_TILES)),
    ("gpt-", Allowances(0)),
    ("o1", Allowances(0)),
    ("o3", Allowances(0)),
    ("claude-", Allowances(0, CLAUDE_PATCHES)),
    ("gemini-", Allowances(0)),
    ("deepseek-", Allowances(0)),
)
"""By the beginning of a model's name; the first that fits counts. 0: no prompt of the provider's own is known to be
billed (Anthropic's documentation counts 14 tokens for "You are a scientist" and "Hello, Claude", marks included).
"""


def allowances_for(model: str) -> Allowances:
    """The allowances for a model by its name, with or without a provider's name before it (``openai/gpt-4o``)."""
    name = model.lower().rpartition("/")[2]
    return next((known for beginning, known in _FAMILIES if name.startswith(beginning)), ANY_MODEL)
