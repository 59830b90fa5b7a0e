"""Which fields of a request can change its price.

Fields that Send2LLM does not know are passed on to the provider, and some buy something: a search, another model, a
faster tier. So a field is let through only when it is known to cost nothing, or to be text of the prompt.
"""

from collections.abc import Callable, Mapping, Sequence

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import CannotBound
from send2llm.domain.message import ForeignPart, JsonObject

FREE_FIELDS = frozenset(
    {
        # OpenAI
        "frequency_penalty", "function_call", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
        "metadata", "n", "parallel_tool_calls", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning_effort", "safety_identifier", "stop", "store", "stream_options",
        "top_logprobs", "user", "verbosity",
        # OpenAI's responses
        "client_metadata", "include", "max_tool_calls", "previous_response_id", "truncation",
        # Anthropic, OpenRouter, Mistral, Groq, DeepSeek
        "cache_control", "enable_thinking", "include_reasoning", "prompt_logprobs", "random_seed", "reasoning",
        "reasoning_format", "stop_sequences", "thinking", "top_k", "top_prompt_logprobs", "usage",
        "anthropic-beta", "anthropic-version", "diagnostics",
        # Cohere
        "citation_options", "safety_mode", "strict_tools",
        # Bedrock
        "additionalModelResponseFieldPaths", "projectIdentifier", "requestMetadata",
        # servers of open models: vLLM, SGLang, llama.cpp, Ollama
        "add_generation_prompt", "cache_prompt", "cache_salt", "continue_final_message", "dynatemp_exponent",
        "dynatemp_range", "grammar", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "id_slot",
        "ignore_eos", "include_stop_str_in_output", "keep_alive", "length_penalty", "min_p", "min_tokens", "mirostat",
        "mirostat_eta", "mirostat_tau", "priority", "repeat_last_n", "repeat_penalty", "repetition_penalty",
        "request_id", "return_progress", "return_token_ids", "return_tokens", "samplers", "skip_special_tokens",
        "spaces_between_special_tokens", "stop_token_ids", "structured_outputs", "tfs_z", "timings_per_token",
        "think", "truncate_prompt_tokens", "typical_p",
        # Gemini
        "generationConfig.logprobs", "generationConfig.responseLogprobs", "generationConfig.thinkingConfig", "labels",
        "safetySettings", "toolConfig.functionCallingConfig",
    }
)  # fmt: skip
"""Fields that cost nothing: limits, sampling, and who asks. Those that limit or force the output change nothing about
the most it can be."""

PROMPT_FIELDS = frozenset(
    {
        "chat_template_kwargs", "documents", "functions", "x-anthropic-billing-header",
        "generationConfig.responseJsonSchema", "generationConfig.responseSchema",  # Gemini
    }
)  # fmt: skip
"""Fields whose content a template may write into the prompt."""


def _is_usual_tier(value: object) -> bool:
    """Gemini's tier is a word, Bedrock's an object."""
    tier = value.get("type") if isinstance(value, Mapping) else value
    return isinstance(tier, str) and tier.lower() in ("default", "flex", "standard")


_FREE_VALUES: Mapping[str, Callable[[object], bool]] = {
    "service_tier": lambda value: value in ("auto", "default", "flex", "standard_only"),
    "serviceTier": _is_usual_tier,
    "performanceConfig": lambda value: value == {"latency": "standard"},
    "modalities": lambda value: value == ["text"],
    "speed": lambda value: value == "standard",
    # What it clears makes a prompt shorter; what it compacts is written by the model, and paid for.
    "context_management": lambda value: "compact" not in str(value),
    "text": lambda value: isinstance(value, Mapping) and value.keys() <= {"verbosity"},
    "generationConfig.responseModalities": lambda value: value == ["TEXT"],  # Gemini, as are the following
    "generationConfig.responseMimeType": lambda value: value in ("text/plain", "text/x.enum", "application/json"),
}
"""Fields that cost nothing with some values: prices are for the standard tier, and for text."""

TEXT_PARTS = frozenset(
    {"thinking", "redacted_thinking", "reasoning", "input_text", "output_text", "search_result", "tool_reference"}
)
"""Types of foreign parts which are text and nothing else; an encrypted thought is longer than the thought."""

_FUNCTION_TOOLS = frozenset({"function", "custom"})


def require_bounded_fields(parameters: Parameters, free_fields: frozenset[str]) -> None:
    """Raise ``CannotBound`` for a field that may cost what no token count covers."""
    for name, value in parameters.extras.items():
        if name in FREE_FIELDS or name in PROMPT_FIELDS or name in free_fields:
            continue
        if name in _FREE_VALUES and _FREE_VALUES[name](value):
            continue
        raise CannotBound(
            f"The field {name[:80]!r} may change what the request costs, so that no budget can cover it. Leave it "
            "out, or have the operator list it among the free fields if it costs nothing.",
            param=name,
        )
    for tool in parameters.tools:
        kind = tool.get("type", "function")
        if kind not in _FUNCTION_TOOLS:
            body = tool.get("body")  # one that only its own format knows
            kind = body.get("type", kind) if isinstance(body, Mapping) else kind
            raise CannotBound(
                f"A tool of type {str(kind)[:80]!r} is run by the provider, which may read and charge more than the "
                "request holds; only tools of type 'function' and 'custom' fit a budget.",
                param="tools",
            )


def tokens_of(part: ForeignPart) -> Sequence[object] | None:
    """The tokens of a text that was sent in their shape, as embeddings may be; ``None`` for any other part."""
    if part.format != "openai" or part.body.get("type") != "tokens":
        return None
    tokens = part.body.get("tokens")
    return tokens if isinstance(tokens, list | tuple) else None


def require_text(part: ForeignPart) -> None:
    """Raise ``CannotBound`` for a part that is not text: its tokens, or their price, are not known."""
    kind = part.body.get("type")
    if kind not in TEXT_PARTS:
        raise CannotBound(
            f"A content part of type {str(kind)[:80]!r} has no known bound on its tokens and their price, so that no "
            "budget can cover it. Send its text instead.",
            param="messages",
        )


def require_no_stored_audio(extras: JsonObject) -> None:
    """Raise ``CannotBound`` for a message that stands for audio which the provider has kept."""
    if extras.get("audio"):
        raise CannotBound(
            "A message that refers to stored audio has no known bound on its tokens, so that no budget can cover it. "
            "Send its transcript instead.",
            param="messages",
        )


def is_cached_for_long(extras: JsonObject) -> bool:
    """Whether ``cache_control``, or Bedrock's ``cachePoint``, asks for more than the usual five minutes."""
    control = extras.get("cache_control") or extras.get("cachePoint")
    if isinstance(control, Mapping) and control.get("ttl", "5m") != "5m":
        return True
    return any(map(_holds_long_caching, extras.values()))


def _holds_long_caching(value: object) -> bool:
    """Whether it is asked for further inside, as in the blocks of a document."""
    if isinstance(value, Mapping):
        return is_cached_for_long(value)
    return isinstance(value, list) and any(map(_holds_long_caching, value))
