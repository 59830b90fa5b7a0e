"""What the two providers are made to say: one speaks chat completions, the other responses."""

import json
from typing import Any

from pydantic import BaseModel

from gateway import MODEL
from send2llm.testing import openai_server
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, chunk, completion
from send2llm.testing.responses_server import (
    FakeResponsesServer,
    Reply,
    StreamReply,
    function_call,
    reasoning,
    response,
)

CHAT, NATIVE = f"fake/{MODEL}", f"native/{MODEL}"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ASKED = '{"city": "Oslo"}'


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name": "Ada", "age": 36}'

Behind = tuple[str, FakeOpenAIServer | FakeResponsesServer]


def says(provider: FakeOpenAIServer | FakeResponsesServer, *texts: str, stream: bool = False) -> None:
    """Have the provider say the texts, one a call."""
    if isinstance(provider, FakeResponsesServer):
        native = StreamReply.of if stream else lambda text: Reply.json(response(text))
        provider.script(*map(native, texts))
    else:
        chat = openai_server.StreamReply.of if stream else openai_server.Reply.of
        provider.script(*map(chat, texts))


def calls_a_tool_first(
    provider: FakeOpenAIServer | FakeResponsesServer, arguments: str = ASKED, *, stream: bool = False
) -> None:
    """Have the provider call the tool ``weather``, and then say that it is cold."""
    if isinstance(provider, FakeResponsesServer):
        items = (reasoning("Hm.", encrypted="cipher"), function_call("weather", arguments, "call_1"))
        first: Any = StreamReply.of(*items) if stream else Reply.json(response(*items))
        then: Any = StreamReply.of("Cold.") if stream else Reply.json(response("Cold."))
    elif stream:
        begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in (arguments[:5], arguments[5:])]
        chunks = [chunk(role="assistant", content=None), *(chunk(tool_calls=[one]) for one in (begin, *rest))]
        first = openai_server.StreamReply([*map(openai_server.event, [*chunks, chunk("tool_calls")]), DONE])
        then = openai_server.StreamReply.of("Cold.")
    else:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
        body = completion(None, finish_reason="tool_calls", tool_calls=[call])
        first = openai_server.Reply(json.dumps(body).encode())
        then = openai_server.Reply.of("Cold.")
    provider.script(first, then)
