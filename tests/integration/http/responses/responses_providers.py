"""Two providers behind one service: one speaks chat completions, the other responses; both are made to say the same."""

import json
from typing import Any

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
Behind = tuple[str, FakeOpenAIServer | FakeResponsesServer]


def said(provider: FakeOpenAIServer | FakeResponsesServer, *, stream: bool, text: str) -> None:
    """Have the provider say a text."""
    if isinstance(provider, FakeResponsesServer):
        provider.script(StreamReply.of(text) if stream else Reply.json(response(text)))
    else:
        provider.script(openai_server.StreamReply.of(text) if stream else openai_server.Reply.of(text))


def called(provider: FakeOpenAIServer | FakeResponsesServer, *, stream: bool) -> None:
    """Have the provider call a tool, and then answer."""
    if isinstance(provider, FakeResponsesServer):
        items = (reasoning("Hm.", encrypted="cipher"), function_call("weather", ASKED, "call_1"))
        first: Any = StreamReply.of(*items) if stream else Reply.json(response(*items))
        second: Any = StreamReply.of("Cold.") if stream else Reply.json(response("Cold."))
    elif stream:
        function = {"name": "weather", "arguments": ""}
        begin = {"index": 0, "id": "call_1", "type": "function", "function": function}
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in (ASKED[:5], ASKED[5:])]
        chunks = [chunk(role="assistant", content=None), *(chunk(tool_calls=[one]) for one in (begin, *rest))]
        first = openai_server.StreamReply([*map(openai_server.event, [*chunks, chunk("tool_calls")]), DONE])
        second = openai_server.StreamReply.of("Cold.")
    else:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ASKED}}
        first = openai_server.Reply(
            json.dumps(completion(None, finish_reason="tool_calls", tool_calls=[call])).encode()
        )
        second = openai_server.Reply.of("Cold.")
    provider.script(first, second)
