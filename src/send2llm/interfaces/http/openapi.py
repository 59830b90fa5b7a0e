"""The description of the routes that bypass FastAPI, for ``/docs`` and ``/openapi.json``."""

from typing import Any

from fastapi import FastAPI

_MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    },
}

_CHAT_COMPLETIONS: dict[str, Any] = {
    "post": {
        "tags": ["openai"],
        "summary": "Chat completions, as OpenAI has them",
        "description": "Takes and gives what OpenAI's endpoint does; further fields pass through to providers of the "
        "same format. The answer's `x-send2llm-...` headers tell the conversation, the provider and the cost.",
        "operationId": "chat_completions",
        "parameters": [
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
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["model", "messages"],
                        "properties": {
                            "model": {"type": "string", "description": "provider/model, or a route."},
                            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
                            "stream": {"type": "boolean", "default": False},
                        },
                        "additionalProperties": True,
                    }
                }
            },
        },
        "responses": {
            "200": {"description": "A chat completion, or a stream of its chunks."},
            "default": {"description": "An error in OpenAI's shape."},
        },
    }
}


def describe_hot_routes(app: FastAPI) -> None:
    """Add them to what FastAPI describes."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        schema["paths"].setdefault("/v1/chat/completions", _CHAT_COMPLETIONS)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description
