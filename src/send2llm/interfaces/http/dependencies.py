"""What FastAPI's routes get: the service, and the circumstances of the request."""

from typing import Annotated

from fastapi import Depends, Request

from send2llm.application.context import Context
from send2llm.bootstrap.service import Service
from send2llm.interfaces.http.front import CONTEXT


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _context(request: Request) -> Context:
    context: Context = request.scope[CONTEXT]
    return context


TheService = Annotated[Service, Depends(_service)]
TheContext = Annotated[Context, Depends(_context)]
