"""The OpenAPI description of ``POST /v1/embeddings``."""

from send2llm.infrastructure.formats.fields import Body

_TOKENS: Body = {"type": "array", "minItems": 1, "items": {"type": "integer"}}

OPERATION: Body = {
    "tags": ["openai"],
    "summary": "Embeddings, as OpenAI has them",
    "description": "Texts as points, in one call. The answer's `x-send2llm-...` headers tell the conversation that "
    "holds both, the provider and the cost.",
    "operationId": "embeddings",
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
                                {"type": "array", "minItems": 1, "items": {"type": "string"}},
                                _TOKENS,
                                {"type": "array", "minItems": 1, "items": _TOKENS},
                            ]
                        },
                        "dimensions": {"type": "integer"},
                        "encoding_format": {"type": "string", "enum": ["float", "base64"], "default": "float"},
                    },
                    "additionalProperties": True,
                }
            }
        },
    },
    "responses": {
        "200": {"description": "A list of embeddings, in the order of the input."},
        "default": {"description": "An error in OpenAI's shape."},
    },
}
