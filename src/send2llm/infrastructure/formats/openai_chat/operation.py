"""The OpenAPI description of ``POST /v1/chat/completions``."""

from send2llm.infrastructure.formats.fields import Body

_MESSAGE: Body = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    },
}

OPERATION: Body = {
    "tags": ["openai"],
    "summary": "Chat completions, as OpenAI has them",
    "description": "Takes and gives what OpenAI's endpoint does; further fields pass through to providers of the "
    "same format. The answer's `x-send2llm-...` headers tell the conversation, the provider and the cost.",
    "operationId": "chat_completions",
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
        "200": {
            "description": "A chat completion, or a stream of its chunks.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "default": {
            "description": "An error in OpenAI's shape.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}},
        },
    },
}
