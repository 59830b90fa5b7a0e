"""Errors in Anthropic's shape.

https://platform.claude.com/docs/en/api/errors
"""

from collections.abc import Mapping
from typing import Any

import orjson

from send2llm.infrastructure.formats.caller_format import ShownError

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def write_error(error: ShownError) -> bytes:
    """The body of an error; ``details`` are for programs: our own code, the field at fault, the numbers of a budget."""
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    details: dict[str, Any] = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    shown = {"type": kind, "message": error.message, "details": {**details, **error.details}}
    return orjson.dumps({"type": "error", "error": shown, "request_id": error.request_id})
