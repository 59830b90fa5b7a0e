"""The routes of Send2LLM's own API: what a caller says and nobody heeds is refused at the door, and so is bad JSON.

Python's own parser, which FastAPI uses, takes halves of surrogate pairs, NaN, numbers of any length and a thousand
levels of nesting. None of these can be written again.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from send2llm.domain.errors import InvalidRequest
from send2llm.interfaces.http.asgi import parse_json, parse_json_object
from send2llm.interfaces.http.descriptions import problems


class StrictJsonRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """The body's value; raises ``json.JSONDecodeError``, which FastAPI turns into a validation error."""
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose requests are ``StrictJsonRequest``, and have nothing but its parameters and the fields of its body.

    Its description has the problems that every route may answer with.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        responses: Mapping[int | str, dict[str, Any]] | None = None,
        **further: Any,
    ) -> None:
        always = problems(400, 401, 413, 500, 503)
        super().__init__(path, endpoint, responses={**always, **(responses or {})}, **further)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with the request that reads strictly."""
        handle = super().get_route_handler()
        parameters = self.dependant.query_params
        known = {parameter.alias for parameter in parameters}
        several = {one.alias for one in parameters if _takes_several(one.field_info.annotation)}

        async def handle_strictly(request: Request) -> Response:
            _refuse_unknown(request.query_params, known)
            _refuse_repeated(request.query_params, several)
            if self.body_field is None:
                _refuse_fields(await request.body())
            return await handle(StrictJsonRequest(request.scope, request.receive))

        return handle_strictly


def _refuse_unknown(given: Iterable[str], known: set[str]) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name[:100], known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(known)) or 'none'}."
            raise InvalidRequest(f"There is no parameter {name[:100]!r} here; {hint}", param=name[:100])


def _takes_several(annotation: Any) -> bool:
    """Whether a parameter is a list, or may be left out and is a list."""
    return any(get_origin(one) is list for one in (annotation, *get_args(annotation)))


def _refuse_repeated(given: QueryParams, several: set[str]) -> None:
    """One of two would be heeded, and the other not."""
    for name, count in Counter(name for name, _ in given.multi_items()).items():
        if count > 1 and name not in several:
            raise InvalidRequest(f"{name} is given {count} times; say one thing.", param=name)


def _refuse_fields(body: bytes) -> None:
    """Where there is nothing to say, nothing is no body, or an object without fields."""
    for name in parse_json_object(body) if body.strip() else ():
        raise InvalidRequest(f"There is no field {name[:100]!r} here; it takes none.", param=name[:100])
