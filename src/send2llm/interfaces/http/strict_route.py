"""FastAPI's routes read JSON as the hot routes do: what could not be stored or sent on is refused at the door.

Python's own parser, which FastAPI uses, takes halves of surrogate pairs, NaN, numbers of any length and a thousand
levels of nesting. None of these can be written again.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from send2llm.interfaces.http.asgi import parse_json


class StrictJsonRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """The body's value; raises ``json.JSONDecodeError``, which FastAPI turns into a validation error."""
        return parse_json(await self.body())


class StrictJsonRoute(APIRoute):
    """A route whose requests are ``StrictJsonRequest``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with the request that reads strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictJsonRequest(request.scope, request.receive))

        return handle_strictly
