"""The names that we spell out are those of the conventions' own package, where it has them."""

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes

from send2llm.infrastructure.telemetry import semantic_conventions as conventions


def in_prometheus(name: str, unit: str = "") -> str:
    return name.replace(".", "_") + unit


def test_metrics_are_named_as_in_the_conventions() -> None:
    seconds = "_seconds"
    assert in_prometheus(gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION, seconds) == conventions.OPERATION_DURATION
    first_chunk = gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK
    assert in_prometheus(first_chunk, seconds) == conventions.TIME_TO_FIRST_CHUNK
    assert in_prometheus(gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE) == conventions.TOKEN_USAGE


def test_counters_of_tokens_are_named_as_in_the_conventions() -> None:
    # The package has no constants for these, which are newer than it.
    usage = "gen_ai.client.inference.usage."
    assert in_prometheus(usage + "input_tokens") == conventions.INPUT_TOKENS
    assert in_prometheus(usage + "output_tokens") == conventions.OUTPUT_TOKENS
    assert in_prometheus(usage + "cache_read.input_tokens") == conventions.CACHE_READ_INPUT_TOKENS
    assert in_prometheus(usage + "cache_write.input_tokens") == conventions.CACHE_WRITE_INPUT_TOKENS
    assert in_prometheus(usage + "reasoning.output_tokens") == conventions.REASONING_OUTPUT_TOKENS


def test_labels_are_named_as_in_the_conventions() -> None:
    names = {
        conventions.OPERATION_NAME: attributes.GEN_AI_OPERATION_NAME,
        conventions.PROVIDER_NAME: attributes.GEN_AI_PROVIDER_NAME,
        conventions.REQUEST_MODEL: attributes.GEN_AI_REQUEST_MODEL,
        conventions.TOKEN_TYPE: attributes.GEN_AI_TOKEN_TYPE,
        conventions.ERROR_TYPE: error_attributes.ERROR_TYPE,
        conventions.HTTP_ROUTE: http_attributes.HTTP_ROUTE,
        conventions.HTTP_REQUEST_METHOD: http_attributes.HTTP_REQUEST_METHOD,
        conventions.HTTP_RESPONSE_STATUS_CODE: http_attributes.HTTP_RESPONSE_STATUS_CODE,
    }

    assert {ours: in_prometheus(theirs) for ours, theirs in names.items()} == {ours: ours for ours in names}
    assert error_attributes.ErrorTypeValues.OTHER.value == conventions.OTHER_ERROR


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the enumerations have moved to a repository of their own
def test_values_are_those_of_the_conventions() -> None:
    # moonshot_ai is newer than the package.
    assert {value.value for value in attributes.GenAiProviderNameValues} == conventions.PROVIDERS - {"moonshot_ai"}
    assert attributes.GenAiOperationNameValues.CHAT.value == conventions.CHAT


def test_buckets_are_those_of_the_conventions() -> None:
    assert (
        *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    ) == conventions.SECONDS_BUCKETS
    assert (
        *(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    ) == conventions.TOKENS_BUCKETS


@pytest.mark.parametrize(
    ("configured", "name"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("mistral", "mistral_ai"),
        ("xai", "x_ai"),
        ("azure-openai", "azure.ai.openai"),
        ("bedrock", "aws.bedrock"),
        ("gemini", "gcp.gemini"),
        ("local", "local"),
        ("openai-eu", "openai-eu"),
    ],
)
def test_providers_have_the_conventions_names(configured: str, name: str) -> None:
    assert conventions.provider_name(configured) == name
