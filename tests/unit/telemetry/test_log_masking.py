"""No secret and no text of anybody's gets into a log, by whatever way it comes."""

import logging
import string
from collections.abc import Callable

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st
from log_output import LogOutput

from send2llm.infrastructure.telemetry.masking import MASKED, SecretMask, plain_event, without_quoted_data

KEY_CHARACTERS = string.ascii_letters + string.digits + "_-"
provider_keys = st.builds(
    "{}{}".format,
    st.sampled_from(["sk-", "sk-ant-api03-", "sk-proj-", "gsk_", "xai-", "hf_", "AIza"]),
    st.text(KEY_CHARACTERS, min_size=20, max_size=60),
)
any_text = st.text(max_size=30)
fields = st.recursive(
    any_text | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)

Way = Callable[[str], None]


def in_event(text: str) -> None:
    structlog.get_logger("x").info(text)


def in_field(text: str) -> None:
    structlog.get_logger("x").info("event", detail=text)


def deep_in_field(text: str) -> None:
    structlog.get_logger("x").info("event", detail=[{"a": {text: (text,)}}])


def in_context(text: str) -> None:
    with structlog.contextvars.bound_contextvars(detail=text):
        structlog.get_logger("x").info("event")


def in_exception(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        error.add_note(text)
        structlog.get_logger("x").exception("event", error=error)


def in_exception_of_library(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("library").exception("event")


def in_library_record(text: str) -> None:
    logging.getLogger("library").warning("asked %s", {"url": text}, extra={"detail": text})


WAYS = [
    in_event,
    in_field,
    deep_in_field,
    in_context,
    in_exception,
    in_exception_of_library,
    in_library_record,
]


@pytest.mark.parametrize("json", [True, False], ids=["json", "console"])
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=any_text, key=provider_keys, after=any_text)
def test_a_providers_key_never_appears(
    logs: LogOutput, way: Way, json: bool, before: str, key: str, after: str
) -> None:
    logs.stream.truncate(0)
    logs.stream.seek(0)
    logs.configure(json=json)

    way(f"{before}{key} {after}")

    assert key.encode() not in logs.raw
    if json:
        assert len(logs.lines) == 1


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    before=any_text,
    secret=st.text(min_size=4, max_size=30).filter(lambda text: text not in MASKED),
    after=any_text,
)
def test_a_known_secret_never_appears_whatever_it_looks_like(
    logs: LogOutput, way: Way, before: str, secret: str, after: str
) -> None:
    logs.stream.truncate(0)
    logs.stream.seek(0)
    logs.configure(secrets=(secret,))

    way(f"{before}{secret}{after}")

    assert orjson.dumps(secret)[1:-1] not in logs.raw
    assert len(logs.lines) == 1


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=fields, key=provider_keys)
def test_every_line_is_json_whatever_is_masked(logs: LogOutput, field: object, key: str) -> None:
    logs.stream.truncate(0)
    logs.stream.seek(0)

    structlog.get_logger("x").info("event", detail=field, secret=True, password=12, note=f"Bearer {key}")

    (line,) = logs.lines
    assert line["event"] == "event"
    assert (line["secret"], line["password"], line["note"]) == (True, MASKED, f"Bearer {MASKED}")


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "proxy-authorization", "x-api-key", "api_key", "openai_api_key"),
        *("token", "access_token", "password", "db_password", "client_secret", "cookie"),
        *("content", "prompt", "messages", "text", "arguments", "body", "partial_text"),
    ],
)
def test_fields_are_masked_by_their_names(name: str) -> None:
    event = plain_event(None, "info", {name: "private", "outer": [{name: ["private"]}]})

    assert event == {name: MASKED, "outer": [{name: MASKED}]}


def test_numbers_are_told_even_under_the_name_of_a_text() -> None:
    event = {"messages": 3, "input_tokens": 100, "output_tokens": 7, "token": None, "password": 1234}

    assert plain_event(None, "info", dict(event)) == event | {"password": MASKED}


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Authorization: Bearer abcd.efgh", f"Authorization: {MASKED}"),
        ("got 'authorization': 'Basic dXNlcjpwYXNz'", f"got 'authorization': '{MASKED}'"),
        ("(b'x-api-key', b'0123456789')", f"(b'x-api-key', b'{MASKED}')"),
        ("GET /v1/models?api_key=0123456789&a=b", f"GET /v1/models?api_key={MASKED}&a=b"),
        ("postgresql://me:pa55word@host/db", f"postgresql://me:{MASKED}@host/db"),
        ("bearer abcdefgh", f"bearer {MASKED}"),
        ("key AIzaSyA0123456789abcdef", f"key {MASKED}"),
        ('"error":"{\\"api_key\\": \\"0123456789\\"}"', f'"error":"{{\\"api_key\\": \\"{MASKED}\\"}}"'),
    ],
)
def test_secrets_are_known_by_their_looks(line: str, masked: str) -> None:
    assert SecretMask()(line.encode()).decode() == masked


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"call_ended","input_tokens":12,"model":"gpt-5-mini","url":"http://127.0.0.1:8000/v1"}',
        "the task-scheduler and the disk-usage of the basic monkey",
        "the api_key is not set; set OPENAI_API_KEY",
        f'{{"api_key":"{MASKED}","secret":true}}',
    ],
)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    raw = line.encode()

    assert SecretMask(["hunter22"])(raw) == raw


def test_a_line_that_a_secret_is_the_structure_of_is_withheld(logs: LogOutput) -> None:
    logs.configure(secrets=("1234",))

    structlog.get_logger("x").info("event", count=12345)

    assert [line["event"] for line in logs.lines] == ["log_line_withheld"]


def test_the_data_that_libraries_quote_in_their_errors_is_cut_out() -> None:
    pydantic = "1 validation error\nName\n  Input should be valid [type=x, input_value='my prompt', input_type=str]"
    postgresql = "null value violates not-null constraint\nDETAIL:  Failing row contains (1, my prompt)."
    sqlalchemy = "(Error) gone\n[SQL: INSERT ...]\n[parameters: ('my prompt',)]"

    for message in (pydantic, postgresql, sqlalchemy):
        assert "my prompt" not in without_quoted_data(message)
        assert without_quoted_data(message).startswith(message[:20])
