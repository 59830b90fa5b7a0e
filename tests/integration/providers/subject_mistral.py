"""Mistral under the contract: OpenAI's words, in a format of its own name."""

from dataclasses import replace
from typing import Any, ClassVar

from making import made
from subjects import OpenAI

from send2llm.domain.completion import Completion
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.mistral_server import FakeMistralServer
from send2llm.testing.provider_server import FakeProviderServer


class Mistral(OpenAI):
    settings: ClassVar[dict[str, Any]] = {"format": "mistral"}

    def server(self) -> FakeProviderServer:
        return FakeMistralServer()

    def provider(self, base_url: str) -> HttpProvider:
        return made("mistral", "acme", base_url)

    def said(self, completion: Completion) -> Completion:
        answers = [replace(one, message=replace(one.message, format="mistral")) for one in completion.answers]
        return replace(completion, answers=tuple(answers))
