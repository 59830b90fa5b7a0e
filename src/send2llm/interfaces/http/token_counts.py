"""``POST /v1/messages/count_tokens``: how many tokens a request has, in Anthropic's shape.

https://platform.claude.com/docs/en/api/messages/count_tokens
"""

import orjson

from send2llm.application.context import Context
from send2llm.application.token_counts import CountTokens, TokenCounts
from send2llm.infrastructure.formats.anthropic import read_request
from send2llm.infrastructure.formats.anthropic.caller import AnthropicFormat, carried_headers
from send2llm.infrastructure.formats.anthropic.operation import COUNT_OPERATION
from send2llm.infrastructure.formats.caller_format import CallerFormat
from send2llm.interfaces.http.asgi import JSON, Headers, Receive, Scope, Send, parse_json_object, read_body, send_answer
from send2llm.interfaces.http.front import CONTEXT

PATH = "/v1/messages/count_tokens"
ESTIMATED = (b"x-send2llm-estimated", b"true")
"""The provider does not count, or cannot now: the number is a guess."""


DESCRIBED = {PATH: COUNT_OPERATION}
"""For the OpenAPI document."""


class CountTokensEndpoint:
    """The endpoint, as an ASGI application of its own."""

    def __init__(self, counts: TokenCounts, max_body_bytes: int) -> None:
        self.format: CallerFormat = AnthropicFormat()
        self._counts = counts
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = parse_json_object(await read_body(receive, self._max_body_bytes))
        request = read_request(body, carried_headers(dict(scope["headers"])), counting=True)
        context: Context = scope[CONTEXT]
        command = CountTokens(model=request.model, messages=request.messages, parameters=request.parameters)
        count = await self._counts.count(command, context)
        headers: Headers = [JSON, ESTIMATED] if count.estimated else [JSON]
        await send_answer(send, 200, headers, orjson.dumps({"input_tokens": count.tokens}))
