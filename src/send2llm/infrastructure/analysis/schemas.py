"""The columns of the exported files. Needs ``pyarrow``, so it is imported after ``extra.need_pyarrow``."""

import pyarrow as pa

from send2llm.infrastructure.analysis.call_rows import USAGE

USD = pa.decimal128(38, 12)
"""US dollars to whole pico-dollars, which is what costs are recorded in."""

MOMENT = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema(
    [
        ("position", pa.int64()),
        ("stream", pa.string()),
        ("version", pa.int64()),
        ("topic", pa.string()),
        ("state", pa.binary()),
        ("event_id", pa.string()),
        ("occurred_at", MOMENT),
        ("tenant", pa.string()),
        ("actor", pa.string()),
        ("correlation_id", pa.string()),
        ("causation_id", pa.string()),
        ("trace_id", pa.string()),
        ("schema_version", pa.int32()),
        ("data", pa.string()),
    ]
)

CALLS = pa.schema(
    [
        ("position", pa.int64()),
        ("conversation", pa.string()),
        ("completion", pa.string()),
        ("correlation_id", pa.string()),
        ("tenant", pa.string()),
        ("actor", pa.string()),
        ("requested_model", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("response_model", pa.string()),
        ("requested_at", MOMENT),
        ("ended_at", MOMENT),
        ("status", pa.string()),
        ("error", pa.string()),
        ("finish_reason", pa.string()),
        ("streaming", pa.bool_()),
        ("embedding", pa.bool_()),
        ("attempts", pa.int32()),
        ("duration", pa.float64()),
        ("time_to_first_token", pa.float64()),
        *((name, pa.int64()) for name in USAGE),
        ("usage_estimated", pa.bool_()),
        ("cost_usd", USD),
        ("failed_attempts_usd", USD),
        ("hold_usd", USD),
        ("assumed", pa.string()),
        ("price_version", pa.string()),
        ("max_output_tokens", pa.int64()),
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("choices", pa.int32()),
        ("tools", pa.int32()),
        ("response_format", pa.string()),
        ("reasoning_effort", pa.string()),
        ("messages", pa.int32()),
        ("input_characters", pa.int64()),
        ("output_characters", pa.int64()),
        ("request_digest", pa.string()),
    ]
)

SEALS = pa.schema(
    [
        ("number", pa.int64()),
        ("chain", pa.string()),
        ("first_position", pa.int64()),
        ("last_position", pa.int64()),
        ("events", pa.int64()),
        ("previous", pa.binary()),
        ("link", pa.binary()),
        ("sealed_at", MOMENT),
        ("public_key", pa.binary()),
        ("signature", pa.binary()),
        ("links", pa.binary()),
    ]
)
