"""Embeddings in OpenAI's format: what is asked, and what is made of every answer."""

import base64
import json
import struct
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import EmbeddingParameters, Parameters, Usage
from send2llm.domain.errors import MalformedReply, RequestRejected
from send2llm.domain.message import EmbeddingPart, ForeignPart, ImagePart, Message, TextPart
from send2llm.infrastructure.formats.openai_chat import read_embeddings, write_embedding_requests
from send2llm.infrastructure.formats.openai_chat.embeddings import MOST_INPUTS

WANTED = Parameters(embedding=EmbeddingParameters())


def text(*words: str) -> Message:
    return Message("user", tuple(TextPart(word) for word in words))


def tokens(*numbers: object) -> Message:
    return Message("user", (ForeignPart("openai", {"type": "tokens", "tokens": list(numbers)}),))


def body(*vectors: Any, **fields: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json.dumps({"object": "list", "data": data, "model": "e-1", "usage": usage, **fields}).encode()


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vectors(*bodies: bytes) -> list[str]:
    parts = read_embeddings(bodies).answers[0].message.parts
    return [part.vector for part in parts if isinstance(part, EmbeddingPart)]


# What is asked


def test_each_part_of_the_messages_is_an_input() -> None:
    parameters = Parameters(embedding=EmbeddingParameters(dimensions=256), extras={"user": "u"})

    (written,) = write_embedding_requests("e", [text("one"), text("two", "three")], parameters)

    assert written == {
        "model": "e",
        "input": ["one", "two", "three"],
        "encoding_format": "base64",
        "dimensions": 256,
        "user": "u",
    }


def test_a_text_may_come_as_tokens() -> None:
    (written,) = write_embedding_requests("e", [tokens(1, 2), tokens(3)], WANTED)

    assert written["input"] == [[1, 2], [3]]


def test_more_inputs_than_a_request_may_hold_go_in_several() -> None:
    messages = [text(str(number)) for number in range(MOST_INPUTS + 1)]

    first, second = write_embedding_requests("e", messages, WANTED)

    assert len(first["input"]) == MOST_INPUTS
    assert second["input"] == [str(MOST_INPUTS)]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Message("user", (ImagePart("https://a/b.png"),)), "type 'image'"),
        (Message("user", (ForeignPart("cohere", {"type": "tokens", "tokens": [1]}),)), "Cohere's chat"),
        (tokens(), "a list of their numbers"),
        (tokens(-1), "a list of their numbers"),
        (tokens("x"), "a list of their numbers"),
        (tokens(True), "a list of their numbers"),
    ],
)
def test_what_is_no_text_is_refused(message: Message, said: str) -> None:
    with pytest.raises(RequestRejected, match=said):
        write_embedding_requests("e", [message], WANTED)


def test_texts_and_tokens_do_not_mix() -> None:
    with pytest.raises(RequestRejected, match="texts as well as tokens"):
        write_embedding_requests("e", [text("one"), tokens(1)], WANTED)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (Parameters(embedding=EmbeddingParameters(purpose="search_query")), "'input_type'"),
        (Parameters(format="cohere", extras={"truncate": "END"}), "'truncate' of Cohere"),
    ],
)
def test_what_openai_has_no_word_for_is_refused(parameters: Parameters, named: str) -> None:
    with pytest.raises(RequestRejected, match=named):
        write_embedding_requests("e", [text("one")], parameters)


# What comes back


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    mixed = {"data": [{"index": 1, "embedding": packed(2)}, {"index": 0, "embedding": packed(1)}]}

    assert vectors(body(**mixed), body(packed(3))) == [packed(1), packed(2), packed(3)]


def test_numbers_are_understood_though_base64_was_asked_for() -> None:
    assert vectors(body([1, 0.5, -2e-3])) == [packed(1, 0.5, -2e-3)]


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), min_size=1))
def test_either_way_the_vectors_are_the_same(given_vectors: list[list[float]]) -> None:
    as_numbers = body(*given_vectors)
    as_base64 = body(*(packed(*vector) for vector in given_vectors))

    assert vectors(as_numbers) == vectors(as_base64)


def test_usage_and_cost_are_those_of_all_requests() -> None:
    one = body(packed(1), usage={"prompt_tokens": 5, "total_tokens": 5, "cost": 0.1})

    both = read_embeddings([one, one])

    assert (both.usage, both.reported_cost_usd, both.body) == (Usage(10), Decimal("0.2"), b"")
    assert (both.response_model, both.format) == ("e-1", "openai")
    assert read_embeddings([one]).body == one


def test_a_usage_that_is_missing_once_is_missing() -> None:
    assert read_embeddings([body(packed(1)), body(packed(1), usage=None)]).usage is None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"[]", "not an object"),
        (b"{", "not JSON"),
        (body(data=None), "data is missing"),
        (body(data={}), "data must be a list"),
        (body(data=[1]), "data.0 must be an object"),
        (body("AAA"), "data.0.embedding must be base64"),
        (body("AAAA"), "data.0.embedding must be base64 of 32-bit floats"),
        (body(""), "data.0.embedding must be base64"),
        (body([]), "data.0.embedding must be base64, or a list"),
        (body(None), "data.0.embedding must be base64, or a list"),
        (body(["1"]), "data.0.embedding must be a list of numbers"),
        (body([1e300]), "data.0.embedding must be a list of numbers"),
        (body(data=[{"index": "0", "embedding": packed(1)}]), "data.0.index must be an integer"),
        (body(data=[{"index": 1, "embedding": packed(1)}]), "data.0.index is 1"),
        (body(data=[{"index": 0, "embedding": packed(1)}] * 2), "data.1.index is 0"),
        (body(packed(1), model=7), "model must be a string"),
    ],
)
def test_a_reply_that_is_wrong_is_malformed(reply: bytes, said: str) -> None:
    with pytest.raises(MalformedReply, match=said):
        read_embeddings([reply])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "index", "embedding", "usage", "model", "cost"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"data": json_values, "usage": json_values}))
def test_whatever_comes_it_is_read_or_malformed(reply: dict[str, Any]) -> None:
    with suppress(MalformedReply):
        assert read_embeddings([json.dumps(reply).encode()]).answers
