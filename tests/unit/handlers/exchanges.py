"""An exchange without a service, for handlers that ask it nothing."""

from collections.abc import Sequence
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.handlers import Exchange
from send2llm.application.open_call import Reply
from send2llm.application.send_command import SendMessage
from send2llm.domain.completion import Parameters
from send2llm.domain.message import Message
from send2llm.domain.prompt_template_events import TemplateVersionAdded


class Nobody:
    """Surroundings that hold only what was said."""

    def __init__(self, said: Sequence[Message] = ()) -> None:
        self._said = said

    async def said(self, conversation_id: UUID, up_to: UUID | None, tenant: str) -> Sequence[Message]:
        return self._said

    async def template(self, name: str, version: int | None) -> TemplateVersionAdded:
        raise AssertionError("no template was wanted")

    def context_window(self, provider: str, model: str) -> int | None:
        return None


async def refuse(command: SendMessage) -> Reply:
    raise AssertionError("no model was wanted")


def exchange(said: Sequence[Message] = (), asked: SendMessage | None = None) -> Exchange:
    return Exchange(Context(correlation_id=UUID(int=1)), Nobody(said), refuse, asked or command())


def command(*messages: Message, **more: object) -> SendMessage:
    return SendMessage(**{"model": "m", "messages": messages, "parameters": Parameters(), **more})
