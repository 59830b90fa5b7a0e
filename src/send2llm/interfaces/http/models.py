"""``GET /v1/models``: what callers may name, in OpenAI's shape.

https://platform.openai.com/docs/api-reference/models
"""

import asyncio
import time
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request

from send2llm.bootstrap import Service
from send2llm.domain.errors import ProviderError, UnknownModel
from send2llm.interfaces.http import answers
from send2llm.interfaces.http.descriptions import openai_errors

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
    responses={200: {"model": answers.Models}, **openai_errors(401, 413, 500)},
)
@router.get("/models", include_in_schema=False)
async def list_models(models: TheModels) -> dict[str, Any]:
    """Routes first; a provider that does not tell is shown with the models of the configuration."""
    return {"object": "list", "data": await models.models()}


@router.get(
    "/v1/models/{name:path}",
    summary="One model or route",
    response_model=None,
    responses={200: {"model": answers.Model}, **openai_errors(401, 404, 413, 500)},
)
@router.get("/models/{name:path}", include_in_schema=False)
async def one_model(models: TheModels, name: str) -> dict[str, Any]:
    """By its whole name, or by the provider's own."""
    for model in await models.models():
        if name in (model["id"], model["id"].partition("/")[2]):
            return model
    raise UnknownModel(name, "GET /v1/models lists what there is.")
