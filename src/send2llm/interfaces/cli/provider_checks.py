"""Tiny calls through the service, to see whether providers answer."""

import time
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from send2llm.interfaces.cli.client import ServiceClient
from send2llm.interfaces.cli.errors import CommandFailed, ServiceProblem

OUTPUT_TOKENS = 8
QUESTION = "Say OK."
LABELS = {"purpose": "provider check"}
"""What the conversations of checks are marked with."""

NO_CHAT = ("embed", "whisper", "tts", "rerank", "moderation", "image", "ocr")
"""In the names of models that are not asked when nothing says which one to ask."""


def targets(client: ServiceClient, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each provider that shall be asked, and the model, ``None`` if it names none; raises ``CommandFailed``."""
    configured = {one["name"]: one for one in client.get("/api/providers")["data"]}
    listed: list[str] | None = None
    for name in names or configured:
        provider, _, model = name.partition("/")
        if provider not in configured:
            near = get_close_matches(provider, configured, 1, 0.5)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(configured) or 'none'}."
            raise CommandFailed(f"There is no provider {provider!r}. {hint}")
        if not model and configured[provider]["models"]:
            model = configured[provider]["models"][0]["name"]
        if not model:
            if listed is None:
                listed = [one["id"] for one in client.get("/v1/models")["data"]]
            model = _first_that_talks(provider, listed)
        yield provider, model or None


def _first_that_talks(provider: str, listed: Sequence[str]) -> str:
    own = [name.partition("/")[2] for name in listed if name.startswith(f"{provider}/")]
    return next((name for name in own if not any(word in name.lower() for word in NO_CHAT)), "")


def check_provider(client: ServiceClient, provider: str, model: str | None) -> dict[str, Any]:
    """Ask once, in a conversation of its own."""
    result: dict[str, Any] = {"provider": provider, "model": model, "ok": False, "seconds": None, "error": None}
    result |= {"code": None, "input_tokens": None, "output_tokens": None, "cost_usd": None, "conversation_id": None}
    if model is None:
        said = f"It lists no model. Name one: send2llm providers check {provider}/MODEL"
        return {**result, "error": said, "code": "model_not_found"}
    began = time.perf_counter()
    try:
        conversation = client.post("/api/conversations", {"labels": LABELS})["id"]
        result["conversation_id"] = conversation
        question = {"model": f"{provider}/{model}", "content": QUESTION, "max_output_tokens": OUTPUT_TOKENS}
        answer = client.post(f"/api/conversations/{conversation}/messages", question)
    except ServiceProblem as problem:
        return {**result, "seconds": time.perf_counter() - began, "error": str(problem), "code": problem.problem}
    usage = answer.get("usage") or {}
    return {
        **result,
        "ok": True,
        "seconds": time.perf_counter() - began,
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": answer.get("cost_usd"),
    }
