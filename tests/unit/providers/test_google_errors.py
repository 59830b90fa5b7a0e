"""What Google adds to its errors, wherever it is wrong."""

from typing import Any

import httpx2
import orjson
import pytest

from send2llm.domain.errors import AuthenticationFailed, ProviderError, QuotaExhausted, RateLimited, RequestRejected
from send2llm.infrastructure.providers.gemini import ERROR_KINDS
from send2llm.infrastructure.providers.provider_errors import ProviderErrors
from send2llm.testing.gemini_server import error


def meaning(body: Any, status: int = 429) -> ProviderError:
    return ProviderErrors("google", kinds=ERROR_KINDS).from_reply(status, httpx2.Headers(), orjson.dumps(body))


@pytest.mark.parametrize(
    ("details", "kind", "wait"),
    [
        (None, RateLimited, None),
        ("x", RateLimited, None),
        ([5, None, {}], RateLimited, None),
        ([{"retryDelay": 5}], RateLimited, None),
        ([{"retryDelay": "soon"}], RateLimited, None),
        ([{"retryDelay": "1.5s"}], RateLimited, 1.5),
        ([{"retryDelay": "9999999s"}], RateLimited, None),
        ([{"violations": 5}], RateLimited, None),
        ([{"violations": [5, {"quotaId": None}]}], RateLimited, None),
        ([{"violations": [{"quotaId": "RequestsPerDay-FreeTier"}]}], QuotaExhausted, None),
        ([{"reason": 5}], RateLimited, None),
        ([{"reason": "API_KEY_INVALID"}], AuthenticationFailed, None),
    ],
)
def test_details(details: Any, kind: type[ProviderError], wait: float | None) -> None:
    known = error(429, "RESOURCE_EXHAUSTED", "no")

    for body in ({"error": {**known, "details": details}}, [{"error": {**known, "details": details}}]):
        found = meaning(body)
        assert type(found) is kind
        assert found.retry_after == wait


def test_a_status_of_googles_is_known_inside_a_stream() -> None:
    errors = ProviderErrors("google", kinds=ERROR_KINDS)

    found = errors.from_event(error(429, "RESOURCE_EXHAUSTED", "no", retry_delay="3s"), httpx2.Headers())

    assert (type(found), found.retry_after, found.status) == (RateLimited, 3, 429)
    assert type(errors.from_event(error(400, "INVALID_ARGUMENT", "bad"), httpx2.Headers())) is RequestRejected
