"""Providers that are known by name, so that a key is all that has to be configured.

The facts are from each provider's own documentation, which ``documentation`` names.
"""

from collections.abc import Mapping

from send2llm.infrastructure.providers.openai_compatible_presets import OPENAI_COMPATIBLE
from send2llm.infrastructure.providers.preset import Preset

__all__ = ["PRESETS", "Preset", "usual_variables"]

PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        "openai",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "https://platform.openai.com/docs/api-reference",
        models_begin_with=("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-"),
    ),
    "anthropic": Preset(
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "https://platform.claude.com/docs/en/api/overview",
        models_begin_with=("claude-",),
    ),
    "azure": Preset(
        "azure",
        key_variable="AZURE_OPENAI_API_KEY",
        documentation="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
        price_provider="azure",
        automatic=False,
    ),
    "mistral": Preset(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        "https://docs.mistral.ai/api",
        models_begin_with=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-", "voxtral-"),
    ),
    "gemini": Preset(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        "https://ai.google.dev/api",
        models_begin_with=("gemini-", "gemma-"),
        price_provider="google",
    ),
    "vertex": Preset(
        "vertex",
        documentation="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        price_provider="google",
        automatic=False,
    ),
    "bedrock": Preset(
        "bedrock",
        key_variable="AWS_BEARER_TOKEN_BEDROCK",
        documentation="https://docs.aws.amazon.com/bedrock/latest/APIReference/",
        models_begin_with=(
            "amazon.",
            "anthropic.",
            "meta.",
            "us.",
            "eu.",
            "apac.",
            "jp.",
            "au.",
            "global.",
            "arn:aws:bedrock:",
        ),
        price_provider="aws",
    ),
    "cohere": Preset(
        "cohere",
        "https://api.cohere.com",
        "CO_API_KEY",
        "https://docs.cohere.com/reference/about",
        models_begin_with=("command-", "c4ai-", "embed-"),
    ),
    "ollama": Preset(
        "ollama",
        "http://127.0.0.1:11434",
        documentation="https://docs.ollama.com/api",
        free=True,
    ),
    "perplexity": Preset(
        "openai-responses",
        "https://api.perplexity.ai/v1",
        "PERPLEXITY_API_KEY",
        "https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility",
    ),
    **OPENAI_COMPATIBLE,
}
"""By the name that they have in the configuration."""


def usual_variables() -> frozenset[str]:
    """The environment variables by which known providers are there without being configured."""
    keys = {preset.key_variable for preset in PRESETS.values() if preset.key_variable}
    return frozenset(keys | {f"{name.upper()}_BASE_URL" for name in PRESETS})
