"""The OpenTelemetry conventions for generative AI, in Prometheus spelling: dots become underscores.

Source: https://github.com/open-telemetry/semantic-conventions-genai (status "Development"). Its Python
package keeps the names in a private module, so they are spelled out here and a test compares the two.
"""

from typing import Final

OPERATION_DURATION: Final = "gen_ai_client_operation_duration_seconds"
TIME_TO_FIRST_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
TOKEN_USAGE: Final = "gen_ai_client_token_usage"  # noqa: S105 - no secret: tokens of text

INPUT_TOKENS: Final = "gen_ai_client_inference_usage_input_tokens"
OUTPUT_TOKENS: Final = "gen_ai_client_inference_usage_output_tokens"
CACHE_READ_INPUT_TOKENS: Final = "gen_ai_client_inference_usage_cache_read_input_tokens"
CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai_client_inference_usage_cache_write_input_tokens"
REASONING_OUTPUT_TOKENS: Final = "gen_ai_client_inference_usage_reasoning_output_tokens"

OPERATION_NAME: Final = "gen_ai_operation_name"
PROVIDER_NAME: Final = "gen_ai_provider_name"
REQUEST_MODEL: Final = "gen_ai_request_model"
TOKEN_TYPE: Final = "gen_ai_token_type"  # noqa: S105 - as above
TOKEN_MODALITY: Final = "gen_ai_token_modality"  # noqa: S105 - as above
ERROR_TYPE: Final = "error_type"
HTTP_ROUTE: Final = "http_route"
HTTP_REQUEST_METHOD: Final = "http_request_method"
HTTP_RESPONSE_STATUS_CODE: Final = "http_response_status_code"

CHAT: Final = "chat"
"""The operation that a chat completion is."""

UNKNOWN_MODALITY: Final = "unknown"
"""The modality of tokens that a provider does not break down; the word that the conventions ask for."""

OTHER_ERROR: Final = "_OTHER"
"""What an error is called that has no name in a closed vocabulary; the conventions' own word for it."""

SECONDS_BUCKETS: Final = tuple(round(0.01 * 2**n, 2) for n in range(14))
"""0.01, 0.02, 0.04 ... 81.92: the bounds that the conventions give for durations of calls."""

TOKENS_BUCKETS: Final = tuple(4**n for n in range(14))
"""1, 4, 16 ... 67108864: the bounds that the conventions give for numbers of tokens."""

PROVIDERS: Final = frozenset(
    {
        "anthropic",
        "aws.bedrock",
        "azure.ai.inference",
        "azure.ai.openai",
        "cohere",
        "deepseek",
        "gcp.gemini",
        "gcp.gen_ai",
        "gcp.vertex_ai",
        "groq",
        "ibm.watsonx.ai",
        "mistral_ai",
        "moonshot_ai",
        "openai",
        "perplexity",
        "x_ai",
    }
)
"""The providers that the conventions have names for."""

_USUAL_NAMES: Final = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
    "grok": "x_ai",
}
"""What people call them in a configuration file."""


def provider_name(configured: str) -> str:
    """The conventions' name of a provider; one that they do not know keeps its name in the configuration."""
    name = configured.lower()
    return name if name in PROVIDERS else _USUAL_NAMES.get(name.replace("-", "_"), configured)
