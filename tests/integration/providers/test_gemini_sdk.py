"""Google's own SDK finds in the fakes what it knows from Google: the fakes speak the real format."""

import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's making, while it is loaded
    from google import genai
    from google.genai import errors, types

from send2llm.testing.gemini_server import (
    ErrorReply,
    FakeGeminiServer,
    Reply,
    StreamReply,
    candidate,
    response,
    running_in_thread,
)

KEY = "AIza-test-0123456789"
MODEL = "gemini-fake-1"
EMBEDDER = "gemini-embedding-001"


@pytest.fixture
def server() -> FakeGeminiServer:
    return FakeGeminiServer()


def client_of(base_url: str, **config: object) -> genai.Client:
    options = types.HttpOptions(base_url=base_url, retry_options=types.HttpRetryOptions(attempts=1), **config)  # type: ignore[arg-type]
    return genai.Client(api_key=KEY, http_options=options)


@pytest.fixture(params=["v1", "v1beta"])
def client(request: pytest.FixtureRequest, server: FakeGeminiServer) -> Iterator[genai.Client]:
    with running_in_thread(server, "") as base_url, client_of(base_url, api_version=request.param) as client:
        yield client


def test_chat(server: FakeGeminiServer, client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        thinking_config=types.ThinkingConfig(thinking_budget=100, include_thoughts=True),
        response_mime_type="application/json",
        response_json_schema={"type": "object"},
    )
    usage = {"promptTokenCount": 9, "cachedContentTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 4}
    thought = {"text": "hm", "thought": True}
    server.script(Reply.json(response(candidate(thought, {"text": "Hello!"}), usage=usage)))

    reply = client.models.generate_content(model=MODEL, contents="Hi", config=config)

    assert reply.text == "Hello!"
    assert reply.response_id == "fake-response"
    assert reply.candidates
    assert reply.candidates[0].finish_reason == types.FinishReason.STOP
    assert reply.usage_metadata
    assert (reply.usage_metadata.cached_content_token_count, reply.usage_metadata.thoughts_token_count) == (3, 4)
    assert server.requests[0].headers["x-goog-api-key"] == KEY


def test_a_stream(server: FakeGeminiServer, client: genai.Client) -> None:
    server.script(StreamReply.of("Grüße an alle"))

    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Hi"))

    assert "".join(chunk.text or "" for chunk in chunks) == "Grüße an alle"
    assert chunks[-1].usage_metadata
    assert chunks[-1].usage_metadata.candidates_token_count == 4
    assert server.requests[0].query == "alt=sse"


def test_tools(server: FakeGeminiServer, client: genai.Client) -> None:
    part = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "U2ln"}
    server.script(Reply.of("", part), Reply.of("Done."))
    tool = types.Tool(
        function_declarations=[types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})]
    )
    config = types.GenerateContentConfig(
        tools=[tool],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        ),
    )

    asked = client.models.generate_content(model=MODEL, contents="Hi", config=config)
    assert asked.function_calls
    assert (asked.function_calls[0].name, asked.function_calls[0].args) == ("f", {"x": 1})
    assert asked.candidates
    answer = asked.candidates[0].content
    assert answer
    result = types.Part.from_function_response(name="f", response={"output": "2"})
    contents = [types.UserContent("Hi"), answer, types.Content(role="user", parts=[result])]
    done = client.models.generate_content(model=MODEL, contents=contents, config=config)

    assert done.text == "Done."
    sent = server.requests[1].json["contents"]
    assert sent[1]["parts"] == [part]
    assert sent[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "2"}}}]


def test_a_picture(server: FakeGeminiServer, client: genai.Client) -> None:
    picture = types.Part.from_bytes(data=b"\x00", mime_type="image/png")
    on_the_web = types.Part.from_uri(file_uri="https://example.org/a.png", mime_type="image/png")

    client.models.generate_content(model=MODEL, contents=["See:", picture, on_the_web])

    assert server.requests[0].json["contents"][0]["parts"][1:] == [
        # Google takes either spelling of a field's name, and the SDK mixes them.
        {"inlineData": {"mime_type": "image/png", "data": "AA=="}},
        {"fileData": {"mime_type": "image/png", "file_uri": "https://example.org/a.png"}},
    ]


def test_embeddings_counts_and_models(server: FakeGeminiServer, client: genai.Client) -> None:
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=2)

    vectors = client.models.embed_content(model=EMBEDDER, contents=["a", "b"], config=config).embeddings  # type: ignore[arg-type]
    counted = client.models.count_tokens(model=MODEL, contents="Hi")
    listed = list(client.models.list())

    assert [vector.values for vector in vectors or []] == [[0.5, -0.25]] * 2
    assert server.requests[0].path.endswith(f"/models/{EMBEDDER}:batchEmbedContents")
    assert server.requests[0].json["requests"][0].keys() == {"model", "content", "taskType", "outputDimensionality"}
    assert counted.total_tokens == 7
    assert [model.name for model in listed] == [f"models/{MODEL}"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_error(server: FakeGeminiServer, client: genai.Client, stream: bool) -> None:
    server.script(ErrorReply(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", retry_delay="2s"))

    ask = client.models.generate_content_stream if stream else client.models.generate_content
    with pytest.raises(errors.ClientError) as caught:
        list(ask(model=MODEL, contents="Hi"))

    assert (caught.value.code, caught.value.status, caught.value.message) == (
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded.",
    )


def test_what_google_would_refuse_the_fake_refuses(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="must not be empty"):
        client.models.generate_content(model=MODEL, contents=types.Content(role="user", parts=[]))


def test_vertex(server: FakeGeminiServer) -> None:
    with running_in_thread(server, "") as base_url:
        options = types.HttpOptions(base_url=base_url)
        with genai.Client(vertexai=True, api_key=KEY, http_options=options) as client:
            assert client.models.generate_content(model=MODEL, contents="Hi").text == "Hello!"
            predicted = client.models.embed_content(model="text-embedding-005", contents="a").embeddings
            newer = client.models.embed_content(model="gemini-embedding-2", contents="a").embeddings
            listed = list(client.models.list(config={"query_base": True}))

    assert server.requests[0].path == f"/v1beta1/publishers/google/models/{MODEL}:generateContent"
    assert server.requests[1].path == "/v1beta1/publishers/google/models/text-embedding-005:predict"
    assert server.requests[2].path == "/v1beta1/publishers/google/models/gemini-embedding-2:embedContent"
    assert [one.values for one in [*(predicted or []), *(newer or [])]] == [[0.5, -0.25]] * 2
    assert [model.name for model in listed] == [f"publishers/google/models/{MODEL}"]
