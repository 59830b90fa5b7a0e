"""How routes end, for the OpenAPI document: with which answers, and with which errors."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

Responses = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "Something is malformed; `param` names it.",
    401: "No key, or a wrong one, where the service was started with one.",
    404: "There is nothing of that name.",
    409: "Its state, or somebody who was quicker, forbids it.",
    413: "The body is longer than the service takes.",
    422: "The Idempotency-Key was used for a different request.",
    429: "A budget has not enough left (`budget` has the numbers), or the provider wants to be asked later or never.",
    500: "A bug here; the log tells more under the request's id.",
    502: "The provider cannot be used, or its answer cannot.",
    503: "The database cannot be reached, or the provider is too busy.",
    504: "The provider took too long.",
}

_NUMBERS = {
    "type": "object",
    "description": "The numbers of the budget that had not enough left; amounts are decimal text.",
    "additionalProperties": {"type": ["string", "null"]},
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "A problem (RFC 9457). Programs may rely on `code`.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong, and what to do about it."},
            "code": {"type": "string"},
            "param": {"type": "string", "description": "What is at fault: a field, a parameter."},
            "budget": _NUMBERS,
        },
        "additionalProperties": False,
    },
    "OpenAIError": {
        "type": "object",
        "description": "An error in OpenAI's shape. Programs may rely on `code`.",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                    "budget": _NUMBERS,
                },
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    },
    "AnthropicError": {
        "type": "object",
        "description": "An error in Anthropic's shape. Programs may rely on `error_code`.",
        "required": ["type", "error", "request_id"],
        "properties": {
            "type": {"type": "string", "const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message", "details"],
                "properties": {
                    "type": {"type": "string"},
                    "message": {"type": "string"},
                    "details": {
                        "type": "object",
                        "required": ["error_code"],
                        "properties": {
                            "error_code": {"type": "string"},
                            "param": {"type": "string"},
                            "budget": _NUMBERS,
                        },
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
            "request_id": {"type": "string"},
        },
        "additionalProperties": False,
    },
}
"""What the responses below refer to, among the document's components."""


def ends(answer: type[BaseModel], *errors: int, status: int = 200, stream: bool = False) -> Responses:
    """How a route under ``/api`` ends, for FastAPI's ``responses``.

    With an ``answer`` of ``status``, as a stream of server-sent events when it is asked for one and does ``stream``,
    or with a problem of one of the statuses ``errors``, beside those that ``StrictRoute`` describes for all.
    """
    streamed = {"content": {"text/event-stream": {"schema": {"type": "string"}}}} if stream else {}
    return {status: {"model": answer, **streamed}, **problems(*errors)}


def problems(*statuses: int) -> Responses:
    """The problems with which a route under ``/api`` ends."""
    return {status: _response(status, "application/problem+json", "Problem") for status in statuses}


def openai_errors(*statuses: int) -> Responses:
    """The same under ``/v1``, in OpenAI's shape."""
    return {status: _response(status, "application/json", "OpenAIError") for status in statuses}


def each(response: Mapping[str, Any], statuses: Iterable[int]) -> dict[str, dict[str, Any]]:
    """A response that may have any of ``statuses``, told of each by what it means."""
    return {str(status): {**response, "description": _meaning(status)} for status in statuses}


def _response(status: int, media_type: str, schema: str) -> dict[str, Any]:
    return {
        "description": _meaning(status),
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _meaning(status: int) -> str:
    return _MEANINGS.get(status, HTTPStatus(status).phrase)


ANY_CALL = (400, 401, 404, 409, 413, 422, 429, 500, 502, 503, 504)
"""What a call to a model may end with."""
