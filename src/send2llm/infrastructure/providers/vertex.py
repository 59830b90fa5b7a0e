"""Gemini at Google Cloud's Vertex AI.

Addresses: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations and the module
``google.genai._api_client``, whose defaults are kept here, too.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.formats import gemini
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import Endpoint, Signer, WireRequest
from send2llm.infrastructure.providers.gemini import GeminiDialect, key_header, no_model, versioned

VERSION = "/v1beta1"
"""The version of the API for addresses that name none: Google's own SDK takes it, and only it lists the models."""

LOCATION = "global"
"""Where calls go unless the options say otherwise."""

_MULTI_REGIONS = frozenset({"us", "eu"})
_MODEL = re.compile(
    r"[A-Za-z0-9][\w.\-@]*|publishers/[A-Za-z0-9][\w\-]*/models/[A-Za-z0-9][\w.\-@]*|endpoints/[A-Za-z0-9][\w\-]*",
    re.ASCII,
)
_NAME = re.compile(r"[a-z0-9][a-z0-9.:\-]*")


class VertexDialect(GeminiDialect):
    """The models of Google below a ``place``: ``/projects/{project}/locations/{location}``, or nothing with a key."""

    def __init__(self, endpoint: Endpoint, place: str) -> None:
        super().__init__(endpoint)
        self._place = place

    def target(self, model: str) -> gemini.Target:
        """As ``GeminiDialect``, with the types of files."""
        return gemini.Target(model, needs_file_type=True)

    def resource(self, model: str) -> str:
        """The model's full name below the place."""
        if not _MODEL.fullmatch(model):
            raise no_model(model)
        return model if "/" in model else f"publishers/google/models/{model}"

    def path(self, model: str, method: str) -> str:
        """As ``GeminiDialect``, below the place."""
        return self._place + super().path(model, method)

    def list_models(self) -> WireRequest:
        """``GET /publishers/google/models``."""
        return self._endpoint.get("/publishers/google/models", query="pageSize=100")

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """``:predict``, or for the models of Gemini ``:embedContent`` and ``:batchEmbedContents``."""
        if "gemini" not in call.model.rpartition("/")[2]:
            bodies = gemini.write_instances(call.messages, call.parameters)
            return [self._endpoint.post(self.path(call.model, "predict"), body) for body in bodies]
        bodies = gemini.write_contents(call.messages, call.parameters, self.target(call.model))
        method = "embedContent" if len(call.messages) == 1 else "batchEmbedContents"
        return [self._endpoint.post(self.path(call.model, method), body) for body in bodies]

    def counted(self, model: str, request: Body) -> Body:  # noqa: ARG002 - the model is in the address
        """What counts: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens."""
        counted = ("contents", "systemInstruction", "tools", "generationConfig")
        return {name: request[name] for name in counted if name in request}


def vertex_provider(config: ProviderConfig) -> Provider:
    """The entry point ``vertex``.

    Its options are ``project``, ``location``, and ``credentials_file``, the JSON key of a service account. Without the
    file and without an ``api_key`` it uses the application default credentials.
    """
    options = config.options_of(project=str, location=str, credentials_file=str)
    location = _checked(config, "location", options.get("location", LOCATION))
    key = _key_file(config, options.get("credentials_file"))
    project = options.get("project") or key.get("project_id", "")
    if not project and not config.api_key:
        raise ConfigurationError(f"providers.{config.name}.options.project must name your Google Cloud project.")
    place = f"/projects/{_checked(config, 'project', project)}/locations/{location}" if project else ""
    endpoint = Endpoint(versioned(config.base_url or _host(location), VERSION), key_header(config))
    signed = config.api_key or any(name.lower() == "authorization" for name in config.headers)
    return config.over_http(VertexDialect(endpoint, place), signer=None if signed else _signer(config, key))


def _checked(config: ProviderConfig, option: str, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ConfigurationError(f"providers.{config.name}.options.{option} cannot be {value!r}; check it.")
    return value


def _host(location: str) -> str:
    if location == LOCATION:
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _key_file(config: ProviderConfig, file: str | None) -> Mapping[str, Any]:
    """What the file of a service account holds, empty if none is named."""
    if file is None:
        return {}
    place = f"providers.{config.name}.options.credentials_file"
    try:
        key = orjson.loads(Path(file).expanduser().read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{place}: {file} cannot be read ({type(error).__name__}).") from None
    if not isinstance(key, dict) or key.get("type") != "service_account":
        raise ConfigurationError(
            f"{place}: {file} is not the JSON key of a service account. Name other credentials in "
            "GOOGLE_APPLICATION_CREDENTIALS, without this option."
        )
    return key


def _signer(config: ProviderConfig, key: Mapping[str, Any]) -> Signer:
    try:
        from send2llm.infrastructure.providers.google_credentials import (  # noqa: PLC0415 - google-auth is an extra
            GoogleSigner,
        )
    except ImportError:
        raise ConfigurationError(
            f"providers.{config.name} needs Google's credentials: pip install 'send2llm[vertex]', or set an api_key."
        ) from None
    try:
        return GoogleSigner(key)
    except ValueError as error:
        raise ConfigurationError(
            f"providers.{config.name}.options.credentials_file does not hold a whole key ({error})."
        ) from None
