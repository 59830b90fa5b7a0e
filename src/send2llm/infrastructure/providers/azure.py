"""Azure OpenAI, and the models of Azure AI Foundry that are called like it.

OpenAI's chat completions at an address of the customer's own, where a model is called by the name of its deployment.
There are two ways: the newer ``/openai/v1``, which is OpenAI's API, and an address for each deployment with the version
of the API in the query. What the content filter found comes along in the provider's own bytes.

https://learn.microsoft.com/azure/ai-foundry/openai/latest, and ``openai.lib.azure`` of the ``openai`` package.
"""

import re
from collections.abc import Mapping
from typing import Any

from send2llm.application.ports import Provider
from send2llm.domain.errors import ModelNotAvailable, ProviderError, RequestRejected
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, WireRequest
from send2llm.infrastructure.providers.openai_chat import OpenAIChatDialect

ROOT = re.compile(r"(/openai(/v1)?)?/*$")
"""What a base URL may end with, as the SDKs are given it: it is the same service with and without."""

V1_VERSIONS = frozenset({"latest", "preview", "v1"})
"""Versions of the API that belong to the newer way; all others are dates."""

_DEPLOYMENT = re.compile(r"(?=.*\w)[\w.-]+", re.ASCII)


class AzureDialect(OpenAIChatDialect):
    """OpenAI's chat completions at Azure; with a dated ``api_version`` each deployment has an address of its own."""

    error_kinds: Mapping[str, type[ProviderError]] = {
        "deploymentnotfound": ModelNotAvailable,
        "operationnotsupported": RequestRejected,
    }
    """https://learn.microsoft.com/azure/ai-foundry/openai/reference#common-error-codes"""

    def __init__(self, endpoint: Endpoint, *, api_version: str | None = None, **options: Any) -> None:
        super().__init__(endpoint, usual_output_limit="max_completion_tokens", **options)
        self._query = f"api-version={api_version}" if api_version else ""
        self._by_deployment = has_deployments(api_version)

    def _post(self, operation: str, body: Mapping[str, Any]) -> WireRequest:
        if not self._by_deployment:
            return self._endpoint.post(operation, body, query=self._query)
        deployment = body["model"]
        if not _DEPLOYMENT.fullmatch(deployment):  # it becomes a part of the address
            raise ModelNotAvailable(f"{deployment[:80]!r} cannot be the name of a deployment.")
        return self._endpoint.post(f"/deployments/{deployment}{operation}", body, query=self._query)

    def list_models(self) -> WireRequest:
        """``GET /models``: what the resource could deploy."""
        return self._endpoint.get("/models", query=self._query)


def has_deployments(api_version: str | None) -> bool:
    """Whether that version of the API has an address for each deployment."""
    return api_version is not None and api_version not in V1_VERSIONS


def azure_provider(config: ProviderConfig) -> Provider:
    """The entry point ``azure``; its options are ``api_version``, and those of ``OpenAIChatDialect``.

    The key goes into the header ``api-key``. A token of Microsoft Entra goes into ``headers``, as ``authorization``.
    """
    options = config.options_of(api_version=str, output_limit=str, stream_usage=bool)
    root = ROOT.sub("", config.require_base_url()) + "/openai"
    base_url = root if has_deployments(options.get("api_version")) else f"{root}/v1"
    key = {"api-key": config.api_key} if config.api_key else {}
    return config.over_http(AzureDialect(Endpoint(base_url, {**key, **config.headers}), **options))
