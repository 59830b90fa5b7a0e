"""Azure OpenAI under the contract: OpenAI's words at other addresses."""

from typing import Any, ClassVar

from making import made
from subjects import OpenAI

from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.azure_server import FakeAzureServer
from send2llm.testing.provider_server import FakeProviderServer


class Azure(OpenAI):
    settings: ClassVar[dict[str, Any]] = {"format": "azure", "api_key": FakeAzureServer().key}
    path = ""

    def server(self) -> FakeProviderServer:
        self.fake = FakeAzureServer()
        return self.fake

    def provider(self, base_url: str) -> HttpProvider:
        return made("azure", "acme", base_url, api_key=self.fake.key)
