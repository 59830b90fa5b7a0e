"""What providers say when they do not answer, and what it means for the caller."""

from typing import Any

import httpx2
import orjson
import pytest

from send2llm.domain.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
)
from send2llm.infrastructure.providers.provider_errors import ProviderErrors

KEY = "sk-live-0123456789abcdef"


def error(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> ProviderError:
    encoded = body if isinstance(body, bytes) else orjson.dumps(body)
    return ProviderErrors("acme", [KEY]).from_reply(status, httpx2.Headers(headers or {}), encoded)


def openai(message: str, code: str | None = None, type: str | None = None) -> dict[str, Any]:  # noqa: A002 - the field
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # by code
        (400, openai("Too long", "context_length_exceeded"), ContextLengthExceeded),
        (400, openai("no", "content_filter"), ContentFiltered),
        (400, openai("no", "content_policy_violation"), ContentFiltered),
        (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), QuotaExhausted),
        (429, openai("Limit reached", "rate_limit_exceeded", "tokens"), RateLimited),
        (429, openai("busy", None, "engine_overloaded_error"), Overloaded),
        (404, openai("The model `x` does not exist", "model_not_found"), ModelNotAvailable),
        (401, openai("Incorrect API key provided", "invalid_api_key"), AuthenticationFailed),
        # by status
        (400, openai("bad"), RequestRejected),
        (401, b"", AuthenticationFailed),
        (402, b"", QuotaExhausted),
        (403, openai("not allowed"), PermissionDenied),
        (404, b"404 page not found", ModelNotAvailable),
        (405, b"", RequestRejected),
        (408, b"", Overloaded),
        (409, b"", Overloaded),
        (413, b"", RequestRejected),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, RequestRejected),
        (429, b"", RateLimited),
        (498, b"", Overloaded),
        (500, b"", Overloaded),
        (501, b"", RequestRejected),
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", Overloaded),
        (503, b"upstream connect error", Overloaded),
        (529, b"", Overloaded),
        # by the words of those who have no codes
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
                "type": "BadRequestError",
                "code": 400,
            },
            ContextLengthExceeded,
        ),  # vLLM
        (
            400,
            openai(
                "the request exceeds the available context size, try increasing it", None, "exceed_context_size_error"
            ),
            ContextLengthExceeded,
        ),  # llama.cpp
        (
            500,
            openai("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
            RequestRejected,
        ),  # llama.cpp
        (400, openai("Please reduce the length of the messages or completion."), ContextLengthExceeded),  # Groq
        (
            400,
            openai("This endpoint's maximum context length is 128000 tokens."),
            ContextLengthExceeded,
        ),  # OpenRouter
        (
            400,
            {"message": "Prompt contains 70000 tokens, too large for model with 32768 maximum context length"},
            ContextLengthExceeded,
        ),  # Mistral
        (
            400,
            openai("This model's maximum prompt length is 131072 but the request contains 200000"),
            ContextLengthExceeded,
        ),
        (
            422,
            openai("`inputs` tokens + `max_new_tokens` must be <= 4097"),
            ContextLengthExceeded,
        ),  # Together
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (1200000) exceeds the maximum",
                        "status": "INVALID",
                    }
                }
            ],
            ContextLengthExceeded,
        ),  # Google
        (500, openai("the prompt is too long: 210000 tokens > 200000 maximum"), ContextLengthExceeded),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}],
            AuthenticationFailed,
        ),
        (400, openai("xyz is not a valid model ID"), ModelNotAvailable),
        (400, openai("Model Not Exist"), ModelNotAvailable),
        (404, {"error": 'model "llama9" not found, try pulling it first'}, ModelNotAvailable),  # Ollama
        (400, openai("Insufficient Balance"), QuotaExhausted),
        (
            400,
            {
                "error": {
                    "code": "bad",
                    "message": "The response was filtered",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            ContentFiltered,
        ),  # Azure
        (
            403,
            {"error": {"code": 403, "message": "Input requires moderation", "metadata": {"reasons": ["violence"]}}},
            ContentFiltered,
        ),  # OpenRouter
        (
            429,
            openai("Request too large: reduce the length of the messages, limit on tokens per minute"),
            RateLimited,
        ),
    ],
)
def test_every_failure_has_its_place_in_the_tree(status: int, body: Any, kind: type[ProviderError]) -> None:
    found = error(status, body)

    assert type(found) is kind
    assert (found.provider, found.status) == ("acme", status)
    assert str(found).startswith(f"acme answered with HTTP {status}: ")


def test_a_redirect_names_its_remedy() -> None:
    found = error(308, b"", {"location": "https://elsewhere.example"})

    assert not found.retryable
    assert "base_url" in str(found)


@pytest.mark.parametrize(
    ("message", "kind", "status"),
    [
        ({"message": "slow down", "code": 429}, RateLimited, 429),
        ({"message": "slow down", "type": "rate_limit_error"}, RateLimited, 429),
        ({"message": "bad", "type": "invalid_request_error"}, RequestRejected, 400),
        (
            {"message": "This model's maximum context length is 10", "type": "invalid_request_error"},
            ContextLengthExceeded,
            400,
        ),
        ({"message": "Upstream died", "code": 502}, Overloaded, 502),
        ({"message": "The server had an error", "type": "server_error"}, Overloaded, 500),
        ("something broke", Overloaded, 500),
    ],
)
def test_errors_inside_a_good_reply_are_errors(message: Any, kind: type[ProviderError], status: int) -> None:
    found = ProviderErrors("acme").from_event(message, httpx2.Headers())

    assert (type(found), found.status) == (kind, status)


# What is said


def test_the_providers_words_are_passed_on_and_the_remedy_named() -> None:
    assert (
        str(error(401, openai("Wrong.")))
        == "acme answered with HTTP 401: Wrong. Check the api_key of [providers.acme]."
    )
    assert str(error(500)) == "acme answered with HTTP 500: without a message"
    assert "Provider returned error: too hot" in str(
        error(400, {"error": {"message": "Provider returned error", "metadata": {"raw": "too hot"}}})
    )


def test_keys_are_never_repeated() -> None:
    for message in (f"Incorrect API key provided: {KEY}.", "Incorrect API key: sk-li**********cdef", f"Bearer {KEY}x"):
        said = str(error(401, openai(message)))
        assert "[key]" in said
        assert "cdef" not in said


def test_words_that_begin_like_keys_are_no_keys() -> None:
    assert "skeletonized gskinny-models" in str(error(400, openai("skeletonized gskinny-models")))


@pytest.mark.parametrize("stand_in", ["", "none", "local", "x"])
def test_stand_ins_for_keys_do_not_garble_messages(stand_in: str) -> None:
    found = ProviderErrors("acme", [stand_in]).from_reply(400, httpx2.Headers(), b"none of the local boxes")

    assert "none of the local boxes" in str(found)


def test_pages_and_giant_bodies_become_one_short_line() -> None:
    assert "502 Bad Gateway" in str(error(502, b"<html><title>502\nBad Gateway</title><body>x</body></html>"))
    assert "Try later" in str(error(503, b"<html><style>p{}</style><body><p>Try</p>\n<p>later</p></body></html>"))
    for body in (b"x" * 5_000_000, openai("x" * 100_000), b"<p>" + b"x" * 5_000_000):
        said = str(error(500, body))
        assert len(said) < 600
        assert "\n" not in said


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"null", b"[]", b"3", b'"text"', b'{"error": null}', b'{"error": {"message": {}}}']
)
def test_any_body_is_an_error(body: bytes) -> None:
    assert isinstance(error(400, body), RequestRejected)


# When to come again


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "3"}, "", 3),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "1700000000"}, "", None),
        ({}, "Please try again in 7.66s. Visit our page", 7.66),
        ({}, "Please try again in 1m2.5s.", 62.5),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please retry in 13 seconds", 13),
        ({}, "Please retry after 6 seconds.", 6),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, "", 360),
        (
            {
                "x-ratelimit-remaining-requests": "10",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "120ms",
            },
            "",
            0.12,
        ),
        ({"x-ratelimit-reset-requests": "6m0s"}, "", None),
        ({}, "", None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], message: str, seconds: float | None) -> None:
    assert error(429, openai(message or "no"), headers).retry_after == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_what_cannot_be_repeated_has_no_wait() -> None:
    assert error(400, b"", {"retry-after": "3"}).retry_after is None
    assert error(503, b"", {"retry-after": "3"}).retry_after == 3


@pytest.mark.parametrize("secret", ["hunter2-corporate", "Zm9vYmFyYmF6cXV4"])
def test_a_key_of_any_look_is_never_told(secret: str) -> None:
    body = orjson.dumps({"error": {"message": f"That {secret} was wrong."}})

    told = str(ProviderErrors("acme", [secret]).from_reply(400, httpx2.Headers(), body))

    assert secret not in told
    assert "was wrong" in told
