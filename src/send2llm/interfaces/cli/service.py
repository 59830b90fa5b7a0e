"""How every command reaches the service: its address, its key, and what its failures mean.

Kept apart from ``client`` so that commands can be listed and explained without loading an HTTP client.
"""

import json
import os
from typing import TYPE_CHECKING, Any

from send2llm.domain.errors import ConfigurationError
from send2llm.interfaces.cli.errors import CommandFailed, ConnectionLost, ServiceProblem, ServiceUnreachable

if TYPE_CHECKING:
    import httpx2

DEFAULT_URL = f"http://127.0.0.1:{os.environ.get('SEND2LLM_PORT', '8484')}"
"""Where ``send2llm serve`` listens on this machine, by the same variable."""

API_KEY_VARIABLE = "SEND2LLM_API_KEY"

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 660.0
"""Seconds; the service itself gives up on a call after ten minutes, and says so."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def base_url(url: str) -> str:
    """The address as users write it, made whole: ``localhost:8484`` will do."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def client_options(url: str) -> dict[str, Any]:
    """The arguments for an httpx2 client, of either kind; raises ``ConfigurationError`` for a bad address."""
    import httpx2

    try:
        address = httpx2.URL(base_url(url))
    except httpx2.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is no address of a service. It should look like {DEFAULT_URL}.") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise ConfigurationError(f"{url!r} is no address of a service. It should look like {DEFAULT_URL}.")
    key = os.environ.get(API_KEY_VARIABLE)
    return {
        "base_url": address,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT, pool=None),
        # A proxy for the web must not catch calls to this very machine.
        "trust_env": address.host not in _LOOPBACK,
    }


def failure(error: "httpx2.TransportError", url: str) -> ServiceUnreachable | ConnectionLost:
    """What a failure of the transport means to the user."""
    import httpx2

    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return ServiceUnreachable(base_url(url), "connection refused" if _refused(error) else _words(error))
        case httpx2.ReadTimeout():
            return ConnectionLost(base_url(url), f"no answer within {READ_TIMEOUT:g} s")
        case httpx2.SSEError():
            return ConnectionLost(base_url(url), "the reply is no stream of events")
        case _:
            return ConnectionLost(base_url(url), _words(error))


def problem(response: "httpx2.Response", url: str) -> ServiceProblem:
    """What an error response says; its body has been read."""
    status = response.status_code
    document = _json(response)
    if isinstance(document, dict):
        return ServiceProblem.from_document(document, status=status, retry_after=_retry_after(response))
    if status >= 500:
        message = f"The service at {base_url(url)} failed with HTTP {status}; its log says why."
        return ServiceProblem(message, status=status, retry_after=_retry_after(response))
    return ServiceProblem(_not_ours(response, url), status=status)


def read_document(response: "httpx2.Response", url: str) -> dict[str, Any]:
    """The JSON object that a good reply holds, empty for an empty one."""
    if not response.content:
        return {}
    document = _json(response)
    if not isinstance(document, dict):
        raise CommandFailed(_not_ours(response, url))
    return document


def first_model(listing: dict[str, Any]) -> str:
    """The first model that ``GET /v1/models`` lists."""
    models = listing.get("data") or []
    if not models:
        raise CommandFailed(
            "The service offers no model. Configure a provider in send2llm.toml; `send2llm doctor` checks it."
        )
    return str(models[0]["id"])


def _json(response: "httpx2.Response") -> object:
    try:
        document: object = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return document


def _not_ours(response: "httpx2.Response", url: str) -> str:
    return (
        f"What answers at {base_url(url)} does not seem to be Send2LLM (HTTP {response.status_code}). "
        "Check the address in --url or SEND2LLM_URL."
    )


def _retry_after(response: "httpx2.Response") -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date: then the caller's own backoff serves
        return None


def _refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
