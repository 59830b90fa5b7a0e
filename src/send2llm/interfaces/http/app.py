"""Puts the HTTP interface together."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Route

from send2llm import __version__
from send2llm.bootstrap.service import Service
from send2llm.domain.errors import InvalidRequest, Send2LLMError
from send2llm.infrastructure.formats.caller_format import CallerFormat
from send2llm.infrastructure.formats.installed import installed_formats
from send2llm.interfaces.http import (
    audit,
    budgets,
    conversations,
    costs,
    feed,
    health,
    models,
    operations,
    projections,
    responses,
    templates,
    token_counts,
    trail,
    usage,
)
from send2llm.interfaces.http.answering import AnswerEndpoint
from send2llm.interfaces.http.errors import ErrorView, log_unreadable
from send2llm.interfaces.http.front import CONTEXT, OPENAI_PATHS, Endpoint, Front, speaks_anthropic
from send2llm.interfaces.http.openapi import describe_hot_routes


def create_app(service: Service) -> Front:
    """The whole HTTP interface of a worker; it starts and stops the service with its lifespan."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="Send2LLM",
        version=__version__,
        summary="Sends messages to language models and remembers everything as events.",
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.models = models.ModelList(service)
    formats = installed_formats()
    add_routes(app, formats)
    for kind in (Send2LLMError, RequestValidationError, StarletteHTTPException, HTTPException, Exception):
        app.add_exception_handler(kind, _show_error)
    endpoints = _endpoints(service, formats)
    for path, endpoint in endpoints.items():
        # The front calls them past FastAPI; here they stand so that other methods are refused by name.
        app.router.routes.append(Route(path, endpoint, methods=["POST"], include_in_schema=False))
    key = service.settings.api_key
    return Front(
        app,
        endpoints,
        api_key=None if key is None else key.get_secret_value(),
        max_body_bytes=service.settings.max_body_bytes,
        identifiers=service.identifiers,
        observer=service.metrics,
    )


def add_routes(app: FastAPI, formats: Iterable[CallerFormat]) -> None:
    """All that the OpenAPI document describes."""
    own = (conversations, templates, budgets, costs, usage, audit, trail, feed, operations, projections)
    for routes in (health, models, responses, *own):
        app.include_router(routes.router)
    describe_hot_routes(app, formats, token_counts.DESCRIBED)


def _endpoints(service: Service, formats: Iterable[CallerFormat]) -> dict[str, Endpoint]:
    """The endpoints that answer, and the one that counts, by path."""
    endpoints: dict[str, Endpoint] = {
        path: AnswerEndpoint(format_, service.sender, service.settings.max_body_bytes, service.metrics.call_in_flight)
        for format_ in formats
        for path in format_.paths
    }
    endpoints[token_counts.PATH] = token_counts.CountTokensEndpoint(
        service.token_counts, service.settings.max_body_bytes
    )
    return endpoints


_ADVICE = {
    404: "There is no such endpoint; /docs describes those that there are.",
    405: "The endpoint does not take this method; the header Allow names those that it takes.",
}
"""What the web framework's own errors mean to a caller."""


async def _show_error(request: Request, error: Exception) -> Response:
    log_unreadable(error)
    view = _view(error)
    headers = {name.decode(): value.decode() for name, value in view.headers}
    if request.url.path.startswith("/v1") and speaks_anthropic(request.scope):
        body = view.anthropic(request.scope[CONTEXT].correlation_id)
        return Response(body, view.status, headers, "application/json")
    if request.url.path.startswith(OPENAI_PATHS):
        return Response(view.openai(), view.status, headers, "application/json")
    return Response(view.problem(), view.status, headers, "application/problem+json")


def _view(error: Exception) -> ErrorView:
    if isinstance(error, RequestValidationError):
        return ErrorView.of(_invalid(error))
    if isinstance(error, StarletteHTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
        message = _ADVICE.get(error.status_code, str(error.detail))
        return ErrorView(error.status_code, "invalid_request_error", code, message, None, headers)
    return ErrorView.of(error)


def _invalid(error: RequestValidationError) -> InvalidRequest:
    """The first of the problems: mend it, and the next is told."""
    problem = error.errors()[0]
    where = ".".join(str(step) for step in problem["loc"][1:])  # the first says whether body, query, path or header
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {problem.get('ctx', {}).get('error', message)}.")
    if problem["type"] == "missing" and not where:
        return InvalidRequest(
            "There is no body. Send a JSON object, with the header content-type: application/json.", param="body"
        )
    if problem["type"] == "model_attributes_type" and not where:
        return InvalidRequest(
            "The body is not a JSON object. Send one, with the header content-type: application/json."
        )
    return InvalidRequest(f"{where}: {message}." if where else f"{message}.", param=where or None)
