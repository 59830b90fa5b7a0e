"""Coding agents resend their whole history in every turn: it is one conversation, and each message is stored once."""

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from gateway import MODEL, Gateway
from send2llm.testing import anthropic_server as claudes, openai_server as openais
from send2llm.testing.anthropic_server import MODEL as CLAUDE, FakeAnthropicServer
from send2llm.testing.openai_server import FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Block = dict[str, Any]
TURNS = 10
MARK = {"cache_control": {"type": "ephemeral"}}
TOOLS: Any = [
    {"name": "read", "description": "Read a file.", "input_schema": {"type": "object"}},
    {"name": "run", "description": "Run it.", "input_schema": {"type": "object"}, **MARK},
]


class Agent:
    """Speaks as Claude Code does: marks for caches move, a block for accounts differs each time, tools are run."""

    def __init__(self, sdk: AsyncAnthropic, model: str, task: str, *, stream: bool) -> None:
        self._sdk = sdk
        self._model = model
        self._stream = stream
        self.history: list[Block] = [{"role": "user", "content": [claudes.text(task)]}]
        self.conversations: set[str] = set()

    async def turn(self, number: int) -> None:
        """One request, and what the tools that it asks for give back."""
        system = [
            claudes.text(f"x-anthropic-billing-header: cc_version=2.1; cch={number:05x};"),
            claudes.text("You are a coding agent.", **(MARK if number % 2 else {})),
            claudes.text("The repository is small.", **(MARK if not number % 2 else {})),
        ]
        request: Any = {
            "model": self._model, "max_tokens": 16_000, "system": system, "tools": TOOLS, "messages": self._marked(),
            "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"},
        }  # fmt: skip
        if self._stream:
            async with self._sdk.messages.stream(**request) as stream:
                answer = await stream.get_final_message()
                self.conversations.add(stream.response.headers["x-send2llm-conversation-id"])
        else:
            raw = await self._sdk.messages.with_raw_response.create(**request)
            answer = await raw.parse()
            self.conversations.add(raw.headers["x-send2llm-conversation-id"])
        said = [block.model_dump(exclude_none=True) for block in answer.content]
        self.history.append({"role": "assistant", "content": said})
        self.history.append({"role": "user", "content": _results(said, number)})

    def _marked(self) -> list[Block]:
        """The history as it is sent: only the last block of the last turn is marked."""
        last = self.history[-1]
        content = [*last["content"][:-1], {**last["content"][-1], **MARK}]
        return [*self.history[:-1], {**last, "content": content}]


def _results(said: list[Block], number: int) -> list[Block]:
    calls = [block for block in said if block["type"] == "tool_use"]
    results: list[Block] = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": f"done {number}"} for call in calls
    ]
    if results:
        results[0] = {
            **results[0],
            "content": [claudes.text("Traceback"), claudes.text("ValueError")],
            "is_error": True,
        }
    return [*results, claudes.text(f"Reminder {number}: stay terse.")]


def _claude(number: int, *, stream: bool) -> claudes.Reply | claudes.StreamReply:
    blocks: list[Block] = [
        {"type": "thinking", "thinking": f"step {number}", "signature": f"proof-{number}"},
        {"type": "redacted_thinking", "data": f"secret-{number}"},
        claudes.text(f"Working on {number}."),
        {"type": "tool_use", "id": f"toolu_{number}a", "name": "read", "input": {"path": "ä.py", "lines": [1, 2.0]}},
        {"type": "tool_use", "id": f"toolu_{number}b", "name": "run", "input": {}},
    ]
    kind = claudes.StreamReply if stream else claudes.Reply
    return kind.of(*blocks, stop_reason="tool_use")


def _openai(number: int, *, stream: bool) -> openais.Reply | openais.StreamReply:
    calls = [
        {
            "id": f"call_{number}a",
            "type": "function",
            "function": {"name": "read", "arguments": '{"path": "\\u00e4.py",  "lines": [1, 2.0]}'},
        },
        {"id": f"call_{number}b", "type": "function", "function": {"name": "run", "arguments": ""}},
    ]
    text, thought = f"Working on {number}.", f"step {number}"
    if not stream:
        return openais.Reply.of(text, tool_calls=calls, reasoning_content=thought)
    pieces = [
        openais.chunk(role="assistant", reasoning_content=thought),
        openais.chunk(content=text),
        *(openais.chunk(tool_calls=[{"index": place, **call}]) for place, call in enumerate(calls)),
        openais.chunk("tool_calls"),
    ]
    return openais.StreamReply([*map(openais.event, pieces), openais.DONE])


async def _stored(gateway: Gateway) -> list[Any]:
    """The messages in the event store, answers included."""
    messages = []
    for event in await gateway.events():
        if event.topic == "conversation.message_added":
            messages.append(event.data["message"])
        elif event.topic == "conversation.completion_received":
            messages += [answer["message"] for answer in event.data["answers"]]
    return messages


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, MODEL])
async def test_a_session_is_one_conversation_and_each_message_is_stored_once(
    gateway: Gateway, anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer, provider: FakeOpenAIServer,
    model: str, stream: bool,
) -> None:  # fmt: skip
    claude.script(*[_claude(number, stream=stream) for number in range(TURNS)])
    provider.script(*[_openai(number, stream=stream) for number in range(TURNS)])
    agent = Agent(anthropic_sdk, model, f"Mend {model}, {stream}.", stream=stream)
    for number in range(TURNS):
        await agent.turn(number)

    assert len(agent.conversations) == 1
    roles = [message["role"] for message in await _stored(gateway)]
    assert roles == ["system", "user", "assistant", *["tool", "tool", "user", "assistant"] * (TURNS - 1)]
    assert (await gateway.topics()).count("completion_received") == TURNS


async def test_anthropic_gets_thoughts_and_marks_as_the_agent_sends_them(
    anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer
) -> None:
    claude.script(*[_claude(number, stream=False) for number in range(TURNS)])
    agent = Agent(anthropic_sdk, CLAUDE, "Mend the marks.", stream=False)
    for number in range(TURNS):
        await agent.turn(number)

    for number, request in enumerate(claude.requests):
        body = request.json
        assert body["system"][0]["text"].endswith(f"cch={number:05x};")
        assert ["cache_control" in block for block in body["system"]] == [False, number % 2 == 1, number % 2 == 0]
        marked = [place for place, turn in enumerate(body["messages"]) if "cache_control" in json.dumps(turn)]
        assert marked == [len(body["messages"]) - 1]
        thoughts = [block for turn in body["messages"] if turn["role"] == "assistant" for block in turn["content"][:2]]
        expected = [_claude_thoughts(earlier) for earlier in range(number)]
        assert thoughts == [block for both in expected for block in both]


def _claude_thoughts(number: int) -> list[Block]:
    return [
        {"type": "thinking", "thinking": f"step {number}", "signature": f"proof-{number}"},
        {"type": "redacted_thinking", "data": f"secret-{number}"},
    ]


async def test_other_providers_do_not_get_anthropics_thoughts(
    gateway: Gateway, anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer, provider: FakeOpenAIServer
) -> None:
    claude.script(_claude(0, stream=False))
    agent = Agent(anthropic_sdk, CLAUDE, "Mend both.", stream=False)
    await agent.turn(0)
    agent._model = MODEL
    await agent.turn(1)
    agent._model = CLAUDE
    await agent.turn(2)

    sent = provider.requests[0].body.decode()
    assert "Working on 0." in sent
    for secret in ("step 0", "proof-0", "secret-0", "billing", "cache_control"):
        assert secret not in sent
    assert _claude_thoughts(0) == claude.requests[-1].json["messages"][1]["content"][:2]
    assert len(agent.conversations) == 1
    assert len({event.stream for event in await gateway.events()}) == 1


async def test_another_prompt_is_another_conversation(
    gateway: Gateway, anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer
) -> None:
    first: Any = [{"role": "user", "content": "Something else"}]
    await anthropic_sdk.messages.create(model=CLAUDE, max_tokens=9, messages=first, system="One.")
    going_on: Any = [*first, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "And?"}]
    await anthropic_sdk.messages.create(model=CLAUDE, max_tokens=9, messages=going_on, system="Another.")
    assert (await gateway.topics()).count("started") == 2


async def test_callers_of_openais_format_have_thoughts_sent_back_for_them(
    gateway: Gateway, claude: FakeAnthropicServer
) -> None:
    """Anthropic insists on them while tools are at work, and that format has no way to tell them."""
    claude.script(_claude(0, stream=True), claudes.Reply.of("Done."))
    question: Any = [{"role": "user", "content": "Use a tool for me."}]
    tools: Any = [{"type": "function", "function": {"name": tool["name"], "parameters": {}}} for tool in TOOLS]
    async with gateway.sdk.chat.completions.stream(model=CLAUDE, messages=question, tools=tools) as stream:
        answer = (await stream.get_final_completion()).choices[0]
    assert answer.finish_reason == "tool_calls"
    calls = answer.message.tool_calls
    assert calls is not None
    assert [json.loads(call.function.arguments) for call in calls] == [{"path": "ä.py", "lines": [1, 2.0]}, {}]
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in calls]
    told: Any = answer.message.model_dump(include={"role", "content", "tool_calls"})
    last = await gateway.sdk.chat.completions.create(model=CLAUDE, messages=[*question, told, *results], tools=tools)

    assert last.choices[0].message.content == "Done."
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (9, 4)  # type: ignore[union-attr]
    turns = claude.requests[1].json["messages"]
    assert turns[1]["content"][:2] == _claude_thoughts(0)
    assert [block["tool_use_id"] for block in turns[2]["content"]] == ["toolu_0a", "toolu_0b"]
    assert (await gateway.topics()).count("started") == 1
