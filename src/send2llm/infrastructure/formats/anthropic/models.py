"""What is known of Claude models by their names, where a request depends on it.

https://platform.claude.com/docs/en/about-claude/models/overview (limits of output) and
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages (supported models), read in
November 2026. Names may have something before and behind them (``eu.anthropic.claude-opus-4-8-v1:0``).
"""

OUTPUT_TOKENS_OF_OTHERS = 8192
"""For a model that is not known here: every server that speaks the format takes as many."""

_OUTPUT_TOKENS: tuple[tuple[str, int], ...] = (
    ("claude-3-5", 8192),
    ("claude-3-7", 64_000),
    ("claude-3", 4096),
    ("claude-opus-4-2", 32_000),  # claude-opus-4-20250514
    ("claude-opus-4-0", 32_000),
    ("claude-opus-4-1", 32_000),
    ("claude-opus-4-5", 64_000),
    ("claude-opus-4@", 32_000),
    ("claude-opus-4", 128_000),
    ("claude-sonnet-4-6", 128_000),
    ("claude-sonnet-4", 64_000),
    ("claude-haiku-4", 64_000),
    ("claude-opus-", 128_000),
    ("claude-sonnet-", 128_000),
    ("claude-haiku-", 128_000),
    ("claude-fable-", 128_000),
    ("claude-mythos-", 128_000),
)
"""The first that fits counts."""

_TAKE_SYSTEM_MESSAGES = (
    "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5", "claude-mythos-5",
)  # fmt: skip
"""Those that heed ``role: system`` among the messages. Claude Sonnet 5 takes it, and does not heed it."""


def most_output_tokens(model: str) -> int:
    """The largest ``max_tokens`` that the model takes, which Anthropic insists on being told."""
    name = model.lower()
    return next((tokens for part, tokens in _OUTPUT_TOKENS if part in name), OUTPUT_TOKENS_OF_OTHERS)


def takes_system_messages(model: str) -> bool:
    """Whether instructions may stand among the messages."""
    name = model.lower()
    return any(part in name for part in _TAKE_SYSTEM_MESSAGES)
