"""How many tokens a request has, without sending it for an answer. Nothing is stored."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from send2llm.application.context import Context
from send2llm.application.handler_chain import HandlerChain
from send2llm.application.open_call import Reply
from send2llm.application.patience import Timeouts
from send2llm.application.ports import ProviderCall, Providers, TokenCountingProvider
from send2llm.application.send_command import SendMessage
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, ProviderError
from send2llm.domain.estimation import estimate_message_tokens, estimate_tokens
from send2llm.domain.message import Message
from send2llm.domain.routing import ModelNames


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTokens:
    """Count what ``model`` would read."""

    model: str
    messages: Sequence[Message]
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class TokenCount:
    """``estimated``: the provider does not count, or cannot now, and so it is a guess."""

    tokens: int
    estimated: bool


class TokenCounts:
    """Handles ``CountTokens``: asks whoever would be asked for the answer first.

    Handlers change the request before, as they would before a call: what they take out of it or refuse is not shown to
    a provider that counts either.
    """

    def __init__(self, names: ModelNames, providers: Providers, timeouts: Timeouts, handlers: HandlerChain) -> None:
        self._names = names
        self._providers = providers
        self._timeouts = timeouts
        self._handlers = handlers

    async def count(self, request: CountTokens, context: Context) -> TokenCount:
        """Count; raises ``UnknownModel``, what handlers raise, and ``ProviderError`` where another try is no use."""
        asked = SendMessage(model=request.model, messages=request.messages, parameters=request.parameters)
        command, _ = await self._handlers.on_request(asked, context, _nobody)
        candidate = self._names.decide(command.model).candidates[0]
        provider = self._providers.get(candidate.provider)
        if isinstance(provider, TokenCountingProvider):
            call = ProviderCall(candidate.model, command.messages, command.parameters, context.correlation_id)
            counted = await self._asked(provider, call)
            if counted is not None:
                return TokenCount(counted, estimated=False)
        return TokenCount(estimated_tokens(command.messages, command.parameters), estimated=True)

    async def _asked(self, provider: TokenCountingProvider, call: ProviderCall) -> int | None:
        try:
            async with asyncio.timeout(self._timeouts.first_token):
                return await provider.count_tokens(call)
        except TimeoutError:
            return None
        except ProviderError as error:
            if error.retryable:
                return None
            raise


async def _nobody(_: SendMessage) -> Reply:
    raise InvalidRequest("Its tokens cannot be counted: a handler would ask a model about this request before.")


def estimated_tokens(messages: Sequence[Message], parameters: Parameters) -> int:
    """About how many tokens messages and tools have."""
    tools = json.dumps(parameters.tools, default=dict) if parameters.tools else ""
    return estimate_message_tokens(messages) + estimate_tokens(tools)
