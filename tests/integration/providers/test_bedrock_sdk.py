"""The fake Bedrock speaks the real format, and checks signatures as Amazon does: boto3 is the judge."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from send2llm.testing.bedrock_server import (
    KEY_ID,
    SECRET_KEY,
    ErrorReply,
    FakeBedrockServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
    event,
    exception,
    running_in_thread,
)

MODEL = "us.anthropic.claude-fake-v1:0"
HI = [{"role": "user", "content": [{"text": "Hi"}]}]
TOOL_USE = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "ü"}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "hm hm", "signature": "sig"}}}
CACHED = {
    "inputTokens": 5,
    "outputTokens": 7,
    "totalTokens": 132,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 20,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 12}, {"ttl": "5m", "inputTokens": 8}],
}


@pytest.fixture
def server() -> FakeBedrockServer:
    return FakeBedrockServer()


def client(service: str, base_url: str, secret: str = SECRET_KEY) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=base_url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def base_url(server: FakeBedrockServer) -> Iterator[str]:
    with running_in_thread(server, "") as url:
        yield url


@pytest.fixture
def runtime(base_url: str) -> Iterator[Any]:
    made = client("bedrock-runtime", base_url)
    yield made
    made.close()


def events_of(runtime: Any) -> list[Any]:
    with closing(runtime.converse_stream(modelId=MODEL, messages=HI)["stream"]) as stream:
        return list(stream)


def test_a_whole_reply_with_thoughts_tools_and_a_cache(server: FakeBedrockServer, runtime: Any) -> None:
    server.script(Reply.json(answer([THOUGHT, {"text": "a"}, TOOL_USE], usage=CACHED)))
    picture = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}

    reply = runtime.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "Hi"}, picture]}])

    assert reply["output"]["message"]["content"] == [THOUGHT, {"text": "a"}, TOOL_USE]
    assert reply["stopReason"] == "tool_use"
    assert reply["usage"] == CACHED
    assert server.requests[0].raw_path == b"/model/us.anthropic.claude-fake-v1%3A0/converse"
    sent = server.requests[0].json["messages"][0]["content"][1]
    assert base64.b64decode(sent["image"]["source"]["bytes"]) == b"\x89PNG"


def test_a_stream(server: FakeBedrockServer, runtime: Any) -> None:
    redacted = {"reasoningContent": {"redactedContent": "AAA="}}
    server.script(StreamReply(answer_events([THOUGHT, redacted, {"text": "one two"}, TOOL_USE], usage=CACHED)))

    events = events_of(runtime)

    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "one two"
    assert "".join(delta.get("toolUse", {}).get("input", "") for delta in deltas) == '{"at":"ü"}'
    assert [d["reasoningContent"]["redactedContent"] for d in deltas if "redactedContent" in str(d)] == [b"\x00\x00"]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"] == CACHED


def test_errors_are_what_the_sdk_knows(server: FakeBedrockServer, runtime: Any) -> None:
    server.script(
        ErrorReply(429, "ThrottlingException", "Too many requests"),
        StreamReply([event("messageStart", {"role": "assistant"}), exception("modelStreamErrorException", "boom")]),
    )

    with pytest.raises(runtime.exceptions.ThrottlingException, match="Too many requests"):
        runtime.converse(modelId=MODEL, messages=HI)
    with pytest.raises(EventStreamError, match=r"modelStreamErrorException.*boom"):
        events_of(runtime)


def test_embeddings_and_counts(server: FakeBedrockServer, runtime: Any) -> None:
    titan = runtime.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "abc"}))
    cohere = runtime.invoke_model(modelId="cohere.embed-v4:0", body=json.dumps({"texts": ["a", "bc"]}))
    count = runtime.count_tokens(modelId=MODEL, input={"converse": {"messages": HI}})

    assert json.loads(titan["body"].read()) == {"embedding": [3.0, 0.5], "inputTextTokenCount": 1}
    assert json.loads(cohere["body"].read())["embeddings"]["float"] == [[1.0, 0.5], [2.0, 0.5]]
    assert count["inputTokens"] == 1


def test_the_models(base_url: str) -> None:
    control = client("bedrock", base_url)

    listed = control.list_foundation_models()["modelSummaries"]
    control.close()

    assert [model["modelId"] for model in listed] == ["amazon.nova-fake-v1:0"]


def test_a_wrong_key_is_turned_down(base_url: str) -> None:
    wrong = client("bedrock-runtime", base_url, secret="another")

    with pytest.raises(ClientError, match="InvalidSignatureException"):
        wrong.converse(modelId=MODEL, messages=HI)
    wrong.close()
