"""The OpenAPI descriptions of ``POST /v1/messages`` and of counting its tokens."""

from typing import Any

from send2llm.infrastructure.formats.fields import Body

_MESSAGE: Body = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": ["user", "assistant", "system"]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    },
}
_HEADERS: list[Body] = [
    {
        "name": name,
        "in": "header",
        "schema": {"type": "string"},
        "description": "Goes on to a provider of this format.",
    }
    for name in ("anthropic-version", "anthropic-beta")
]


_ERROR: Body = {
    "description": "An error in Anthropic's shape.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AnthropicError"}}},
}


def _operation(name: str, required: list[str], properties: dict[str, Any], **texts: Any) -> Body:
    schema = {
        "type": "object",
        "required": ["model", "messages", *required],
        "properties": {
            "model": {"type": "string", "description": "provider/model, or a route."},
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            "system": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
            **properties,
        },
        "additionalProperties": True,
    }
    return {
        "tags": ["anthropic"],
        "operationId": name,
        "parameters": _HEADERS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        **texts,
    }


OPERATION: Body = _operation(
    "messages",
    ["max_tokens"],
    {"max_tokens": {"type": "integer"}, "stream": {"type": "boolean", "default": False}},
    summary="Messages, as Anthropic has them",
    description="Takes and gives what Anthropic's endpoint does; further fields pass through to providers of the same "
    "format. The answer's `x-send2llm-...` headers tell the conversation, the provider and the cost.",
    responses={
        "200": {
            "description": "A message, or a stream of its events.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "default": _ERROR,
    },
)

COUNT_OPERATION: Body = _operation(
    "count_tokens",
    [],
    {},
    summary="Count the tokens of a message's request",
    description="Asks the provider where it counts tokens; else the number is an estimate, and the header "
    "`x-send2llm-estimated: true` says so. Nothing is stored.",
    responses={
        "200": {
            "description": "The number of input tokens.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["input_tokens"],
                        "properties": {"input_tokens": {"type": "integer"}},
                    }
                }
            },
        },
        "default": _ERROR,
    },
)
