"""The ways in as the matrix uses them: how a caller of each format asks, and what it makes of the answers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Heard:
    """What a caller got: text, and calls of tools as (id, name, arguments)."""

    text: str = ""
    calls: list[tuple[str, str, Json]] = field(default_factory=list)
    ending: str = ""
    output_tokens: int | None = None


class WayIn(Protocol):
    path: str

    def ask(self, model: str, question: str, *, stream: bool = False, tool: bool = False) -> Json: ...

    def show(self, model: str, question: str) -> Json:
        """Ask about the picture."""

    def instruct(self, model: str, question: str) -> Json:
        """Ask with a picture among the instructions."""

    def answer_call(self, asked: Json, heard: Heard, result: str) -> Json:
        """The request after ``asked`` that tells what the tool gave back."""

    def whole(self, body: Json) -> Heard: ...

    def streamed(self, text: str) -> Heard: ...

    def error(self, body: Json) -> tuple[str, str]:
        """Its type and its message."""


def events(text: str) -> Iterator[Json]:
    """The data of server-sent events."""
    for block in text.split("\n\n"):
        data = "\n".join(line.removeprefix("data: ") for line in block.splitlines() if line.startswith("data: "))
        if data and data != "[DONE]":
            yield json.loads(data)


class OpenAIChat:
    path = "/v1/chat/completions"

    def ask(self, model: str, question: str, *, stream: bool = False, tool: bool = False) -> Json:
        body: Json = {"model": model, "messages": [{"role": "user", "content": question}], "stream": stream}
        if stream:
            body["stream_options"] = {"include_usage": True}
        if tool:
            body["tools"] = [
                {"type": "function", "function": {"name": "weather", "description": "Tells.", "parameters": SCHEMA}}
            ]
        return body

    def show(self, model: str, question: str) -> Json:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
        content = [{"type": "text", "text": question}, image]
        return {"model": model, "messages": [{"role": "user", "content": content}]}

    def instruct(self, model: str, question: str) -> Json:
        (shown,) = self.show(model, "This is our logo.")["messages"]
        return {"model": model, "messages": [{**shown, "role": "system"}, {"role": "user", "content": question}]}

    def answer_call(self, asked: Json, heard: Heard, result: str) -> Json:
        calls = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for id_, name, arguments in heard.calls
        ]
        said = {"role": "assistant", "content": heard.text or None, "tool_calls": calls}
        told = {"role": "tool", "tool_call_id": heard.calls[0][0], "content": result}
        return {**asked, "messages": [*asked["messages"], said, told]}

    def whole(self, body: Json) -> Heard:
        (choice,) = body["choices"]
        calls = [
            (one["id"], one["function"]["name"], json.loads(one["function"]["arguments"]))
            for one in choice["message"].get("tool_calls") or []
        ]
        usage = body.get("usage") or {}
        return Heard(choice["message"]["content"] or "", calls, choice["finish_reason"], usage.get("completion_tokens"))

    def streamed(self, text: str) -> Heard:
        assert text.endswith("data: [DONE]\n\n"), text
        heard, pieces = Heard(), {}
        for event in events(text):
            if event.get("usage"):
                heard.output_tokens = event["usage"]["completion_tokens"]
            for choice in event["choices"]:
                heard.text += choice["delta"].get("content") or ""
                heard.ending = choice["finish_reason"] or heard.ending
                for piece in choice["delta"].get("tool_calls") or []:
                    call = pieces.setdefault(piece["index"], ["", "", ""])
                    call[0] = piece.get("id") or call[0]
                    call[1] = piece["function"].get("name") or call[1]
                    call[2] += piece["function"].get("arguments") or ""
        heard.calls = [(id_, name, json.loads(arguments)) for id_, name, arguments in pieces.values()]
        return heard

    def error(self, body: Json) -> tuple[str, str]:
        return body["error"]["type"], body["error"]["message"]


class Anthropic:
    path = "/v1/messages"

    def ask(self, model: str, question: str, *, stream: bool = False, tool: bool = False) -> Json:
        body: Json = {
            "model": model,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": question}],
            "stream": stream,
        }
        if tool:
            body["tools"] = [{"name": "weather", "description": "Tells.", "input_schema": SCHEMA}]
        return body

    def show(self, model: str, question: str) -> Json:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
        content = [{"type": "text", "text": question}, image]
        return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": content}]}

    def instruct(self, model: str, question: str) -> Json:
        shown = self.show(model, "This is our logo.")["messages"]
        return {**self.ask(model, question), "system": shown[0]["content"]}

    def answer_call(self, asked: Json, heard: Heard, result: str) -> Json:
        said = [{"type": "text", "text": heard.text}] if heard.text else []
        said += [{"type": "tool_use", "id": id_, "name": name, "input": given} for id_, name, given in heard.calls]
        told = [{"type": "tool_result", "tool_use_id": heard.calls[0][0], "content": result}]
        turns = [{"role": "assistant", "content": said}, {"role": "user", "content": told}]
        return {**asked, "messages": [*asked["messages"], *turns]}

    def whole(self, body: Json) -> Heard:
        texts = [block["text"] for block in body["content"] if block["type"] == "text"]
        calls = [(one["id"], one["name"], one["input"]) for one in body["content"] if one["type"] == "tool_use"]
        return Heard("".join(texts), calls, body["stop_reason"], body["usage"]["output_tokens"])

    def streamed(self, text: str) -> Heard:
        heard, blocks = Heard(), {}
        told = list(events(text))
        assert told[0]["type"] == "message_start"
        assert told[-1]["type"] == "message_stop"
        for event in told:
            if event["type"] == "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "json": ""}
            elif event["type"] == "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                block["text"] = block.get("text", "") + delta.get("text", "")
                block["json"] += delta.get("partial_json", "")
            elif event["type"] == "message_delta":
                heard.ending, heard.output_tokens = event["delta"]["stop_reason"], event["usage"]["output_tokens"]
        heard.text = "".join(block["text"] for block in blocks.values() if block["type"] == "text")
        heard.calls = [
            (one["id"], one["name"], json.loads(one["json"] or "{}"))
            for one in blocks.values()
            if one["type"] == "tool_use"
        ]
        return heard

    def error(self, body: Json) -> tuple[str, str]:
        assert body["type"] == "error"
        return body["error"]["type"], body["error"]["message"]


class Responses:
    path = "/v1/responses"

    def ask(self, model: str, question: str, *, stream: bool = False, tool: bool = False) -> Json:
        body: Json = {"model": model, "input": question, "stream": stream}
        if tool:
            body["tools"] = [
                {"type": "function", "name": "weather", "description": "Tells.", "parameters": SCHEMA, "strict": False}
            ]
        return body

    def show(self, model: str, question: str) -> Json:
        image = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PICTURE}"}
        content = [{"type": "input_text", "text": question}, image]
        return {"model": model, "input": [{"role": "user", "content": content}]}

    def instruct(self, model: str, question: str) -> Json:
        (shown,) = self.show(model, "This is our logo.")["input"]
        return {"model": model, "input": [{**shown, "role": "developer"}, {"role": "user", "content": question}]}

    def answer_call(self, asked: Json, heard: Heard, result: str) -> Json:
        told = {"type": "function_call_output", "call_id": heard.calls[0][0], "output": result}
        return {**asked, "input": [told], "previous_response_id": heard.ending.partition(" ")[2]}

    def whole(self, body: Json) -> Heard:
        texts = [part["text"] for item in body["output"] if item["type"] == "message" for part in item["content"]]
        calls = [
            (item["call_id"], item["name"], json.loads(item["arguments"]))
            for item in body["output"]
            if item["type"] == "function_call"
        ]
        return Heard("".join(texts), calls, f"{body['status']} {body['id']}", (body["usage"] or {})["output_tokens"])

    def streamed(self, text: str) -> Heard:
        told = list(events(text))
        assert told[0]["type"] == "response.created"
        assert told[-1]["type"] == "response.completed"
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        whole = self.whole(told[-1]["response"])
        pieces = "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta")
        assert pieces == whole.text
        return whole

    def error(self, body: Json) -> tuple[str, str]:
        return body["error"]["type"], body["error"]["message"]


WAYS_IN: dict[str, WayIn] = {"chat": OpenAIChat(), "messages": Anthropic(), "responses": Responses()}
