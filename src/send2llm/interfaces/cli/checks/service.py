"""Checks of the running service, from outside, as its callers see it."""

from collections.abc import Iterator
from typing import Any

import httpx2

from send2llm.interfaces.cli.checks import Finding
from send2llm.interfaces.cli.client import ServiceClient
from send2llm.interfaces.cli.errors import CommandFailed, ServiceProblem
from send2llm.interfaces.cli.service import base_url, client_options

ANSWER_SECONDS = 10.0
LONG_LAG_SECONDS = 10.0


def check_service(url: str) -> Iterator[Finding]:
    """Whether it answers, is ready, accepts the key, and how far its projections lag."""
    try:
        with httpx2.Client(**{**client_options(url), "timeout": ANSWER_SECONDS}) as http:
            ready = http.get("/readyz")
    except httpx2.TransportError as error:
        found = f"nothing answers at {base_url(url)} ({type(error).__name__})"
        yield Finding("service", "fail", found, "Start it with: send2llm serve")
        return
    yield _readiness(ready, url)
    yield from _check_projections(url)


def _readiness(response: httpx2.Response, url: str) -> Finding:
    try:
        checks = response.json()["checks"]
        wrong = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
    except (ValueError, KeyError, TypeError, AttributeError):
        found = f"what answers at {base_url(url)} is not Send2LLM (HTTP {response.status_code})"
        return Finding("service", "fail", found, "Check --url or SEND2LLM_URL.")
    if wrong or not response.is_success:
        found = "; ".join(wrong) or f"HTTP {response.status_code}"
        return Finding("service", "fail", found, "See the findings above, and the service's log.")
    return Finding("service", "ok", f"ready at {base_url(url)}")


def _check_projections(url: str) -> Iterator[Finding]:
    try:
        with ServiceClient(url) as client:
            standing = client.get("/api/projections")["data"]
    except ServiceProblem as error:
        remedy = "Give the doctor the same SEND2LLM_API_KEY as the service." if error.status == 401 else ""
        yield Finding("projections", "fail", str(error), remedy)
        return
    except CommandFailed as error:
        yield Finding("projections", "fail", str(error))
        return
    if not standing:
        yield Finding("projections", "warn", "none has ever run", "Let one service run with projector = true.")
    for projection in standing:
        if projection["role"] in ("live", "building", "relay"):
            yield _projection(projection)


def _projection(projection: dict[str, Any]) -> Finding:
    name = f"projection {projection['name']} v{projection['version']}"
    if projection["role"] == "building":
        name += f", build {projection['build']}"
    elif projection["role"] == "relay":
        name = projection["name"]
    lag, seconds = projection["lag_events"], projection.get("lag_seconds")
    behind = f"{lag} events behind" + ("" if seconds is None else f", {seconds:.1f} s")
    if projection["state"] == "failed":
        remedy = f"Correct what the error says, then: send2llm projections retry {projection['name']}"
        return Finding(name, "fail", str(projection.get("error") or "it failed"), remedy)
    if projection["state"] == "waiting" and lag:
        relaying = " and relay.url" if projection["role"] == "relay" else ""
        return Finding(
            name, "warn", f"nobody runs it; {behind}", f"Let one service run with projector = true{relaying}."
        )
    if lag and (seconds is None or seconds > LONG_LAG_SECONDS):
        return Finding(name, "warn", behind, "Nothing, if the number goes down; else see the service's log.")
    return Finding(name, "ok", "up to date" if not lag else behind)
