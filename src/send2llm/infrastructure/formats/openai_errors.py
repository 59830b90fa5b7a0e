"""Errors in OpenAI's shape, which all of its endpoints share.

https://platform.openai.com/docs/guides/error-codes
"""

import orjson

from send2llm.infrastructure.formats.caller_format import ShownError


def write_error(error: ShownError) -> bytes:
    """The body of an error."""
    shown = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return orjson.dumps({"error": {**shown, **error.details}})
