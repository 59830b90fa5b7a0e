"""The description of the routes that bypass FastAPI, for ``/docs`` and ``/openapi.json``."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from send2llm.infrastructure.formats.caller_format import CallerFormat


def describe_hot_routes(app: FastAPI, formats: Iterable[CallerFormat]) -> None:
    """Add them to what FastAPI describes: each format under the first of its paths."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        for format_ in formats:
            operation = format_.operation
            parameters = [*operation.get("parameters", ()), *PARAMETERS]
            schema["paths"].setdefault(format_.paths[0], {"post": {**operation, "parameters": parameters}})
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description


PARAMETERS = [
    {
        "name": "x-send2llm-conversation-id",
        "in": "header",
        "schema": {"type": "string", "format": "uuid"},
        "description": "The conversation that this call goes on with; else it is found by its messages.",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "maxLength": 255},
        "description": "The same request with the same key is answered once.",
    },
]
"""What all of them take beside their format's own."""
