"""The OpenAPI description of ``POST /v1/responses``."""

from send2llm.infrastructure.formats.fields import Body

OPERATION: Body = {
    "tags": ["openai"],
    "summary": "Responses, as OpenAI has them",
    "description": "Takes and gives what OpenAI's endpoint does, whatever format the provider speaks; further fields "
    "pass through to providers of the same format. `previous_response_id` goes on from any answer that was given here, "
    "in its conversation or in a branch of it. The answer's `x-send2llm-...` headers tell the conversation, the "
    "provider and the cost.",
    "operationId": "responses",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model", "input"],
                    "properties": {
                        "model": {"type": "string", "description": "provider/model, or a route."},
                        "input": {
                            "oneOf": [
                                {"type": "string"},
                                {"type": "array", "minItems": 1, "items": {"type": "object"}},
                            ]
                        },
                        "instructions": {"type": "string"},
                        "previous_response_id": {"type": "string"},
                        "stream": {"type": "boolean", "default": False},
                    },
                    "additionalProperties": True,
                }
            }
        },
    },
    "responses": {
        "200": {"description": "A response, or a stream of its events."},
        "default": {"description": "An error in OpenAI's shape."},
    },
}
