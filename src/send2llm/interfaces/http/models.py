"""``GET /v1/models``: what callers may name, in OpenAI's shape, or in Anthropic's for those that name its version.

https://platform.openai.com/docs/api-reference/models, https://platform.claude.com/docs/en/api/models/list
"""

import asyncio
import time
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request

from send2llm.bootstrap.service import Service
from send2llm.domain.errors import ProviderError, UnknownModel
from send2llm.infrastructure.formats.anthropic.model_list import LARGEST_PAGE, USUAL_PAGE, write_model, write_page
from send2llm.interfaces.http import answers
from send2llm.interfaces.http.descriptions import openai_errors
from send2llm.interfaces.http.front import speaks_anthropic

logger = structlog.get_logger(__name__)

FRESH_FOR = 60.0
"""Seconds for which a provider's own list is not asked for again."""

PATIENCE = 5.0
"""Seconds that a provider's list is waited for; one that is late is left out, not waited for."""


class ModelList:
    """Routes first, then every provider's models as ``provider/model``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def models(self) -> list[dict[str, Any]]:
        """One entry for each name."""
        providers = self._service.settings.providers
        lists = await asyncio.gather(*(self._of(name) for name in providers))
        named = [
            (f"{provider}/{model}", provider)
            for provider, models in zip(providers, lists, strict=True)
            for model in models
        ]
        routes = [(route, "send2llm") for route in self._service.settings.routes]
        return [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in [*routes, *named]]

    async def _of(self, provider: str) -> tuple[str, ...]:
        """The models that the provider offers; those of the configuration when it does not tell."""
        asked, models = self._known.get(provider, (0.0, ()))
        if asked and time.monotonic() - asked < FRESH_FOR:
            return models
        configured = self._service.settings.providers[provider].models
        try:
            async with asyncio.timeout(PATIENCE):
                offered = await self._service.providers.get(provider).models()
        except (ProviderError, TimeoutError) as error:
            logger.warning("models_unknown", provider=provider, error=type(error).__name__)
            return configured
        models = tuple(dict.fromkeys([*configured, *offered]))
        self._known[provider] = (time.monotonic(), models)
        return models


router = APIRouter(tags=["openai"])


def _models(request: Request) -> ModelList:
    models: ModelList = request.app.state.models
    return models


TheModels = Annotated[ModelList, Depends(_models)]


@router.get(
    "/v1/models",
    summary="List models and routes",
    response_model=None,
    responses={200: {"model": answers.Models}, **openai_errors(400, 401, 413, 500)},
)
@router.get("/models", include_in_schema=False)
async def list_models(
    request: Request,
    models: TheModels,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = USUAL_PAGE,
    after_id: str | None = None,
    before_id: str | None = None,
) -> dict[str, Any]:
    """Routes first; a provider that does not tell is shown with the models of the configuration.

    OpenAI's list is whole. Anthropic's, for requests with an `anthropic-version`, comes in pages.
    """
    known = await models.models()
    if speaks_anthropic(request.scope):
        names = [model["id"] for model in known]
        return write_page(names, limit=limit, after=after_id, before=before_id)
    return {"object": "list", "data": known}


@router.get(
    "/v1/models/{name:path}",
    summary="One model or route",
    response_model=None,
    responses={200: {"model": answers.Model}, **openai_errors(401, 404, 413, 500)},
)
@router.get("/models/{name:path}", include_in_schema=False)
async def one_model(request: Request, models: TheModels, name: str) -> dict[str, Any]:
    """By its whole name, or by the provider's own."""
    for model in await models.models():
        if name in (model["id"], model["id"].partition("/")[2]):
            return write_model(model["id"]) if speaks_anthropic(request.scope) else model
    raise UnknownModel(name, "GET /v1/models lists what there is.")
