"""The description of the routes that bypass FastAPI, and of errors, for ``/docs`` and ``/openapi.json``."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI

from send2llm.infrastructure.formats.caller_format import CallerFormat
from send2llm.interfaces.http.descriptions import ANY_CALL, SCHEMAS, each


def describe_hot_routes(app: FastAPI, formats: Iterable[CallerFormat], others: Mapping[str, Mapping[str, Any]]) -> None:
    """Add them to what FastAPI describes, and let errors be those that are sent.

    Each format is described under the first of its paths; ``others`` are by path.
    """
    describe = app.openapi
    described = {format_.paths[0]: {"post": _operation(format_.operation, PARAMETERS)} for format_ in formats}
    described |= {path: {"post": _operation(operation, [])} for path, operation in others.items()}

    def openapi() -> dict[str, Any]:
        schema = describe()
        for path, operations in described.items():
            schema["paths"].setdefault(path, operations)
        _describe_errors(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description


def _operation(operation: Mapping[str, Any], parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the format says, and what all of them take and end with: its ``default`` response is how errors look."""
    responses = dict(operation["responses"])
    errors = each(responses.pop("default"), ANY_CALL) if "default" in responses else {}
    return {
        **operation,
        "parameters": [*operation.get("parameters", ()), *parameters],
        "responses": {**errors, **responses},
    }


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
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same request with the same key is answered once.",
    },
]
"""What all of them take beside their format's own."""


def _describe_errors(schema: dict[str, Any]) -> None:
    """FastAPI says that what it refuses has status 422 and a shape of its own; here it is a 400 like any other."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components.update(SCHEMAS)
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
