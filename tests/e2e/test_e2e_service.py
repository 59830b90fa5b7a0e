"""A service with two workers, and the official SDK as its client."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from installed import MODEL, Folder, RunningService
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from send2llm.testing.eventually import eventually


@pytest.fixture(scope="module")
def service(shared_folder: Folder) -> RunningService:
    return shared_folder.serve("--workers", "2")


@pytest.fixture
def sdk(service: RunningService) -> OpenAI:
    return service.sdk()


def say(sdk: OpenAI, *texts: str) -> tuple[str, str]:
    """What the model says to a dialogue (user first, then by turns), and the conversation's id."""
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    raw = sdk.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
    return raw.parse().choices[0].message.content or "", raw.headers["x-send2llm-conversation-id"]


def test_calls_are_answered_and_stored(shared_folder: Folder, sdk: OpenAI) -> None:
    word = uuid4().hex
    assert say(sdk, f"whole {word}")[0] == f"You said: whole {word}"
    stream = sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": f"streamed {word}"}], stream=True
    )
    assert "".join(one.choices[0].delta.content or "" for one in stream) == f"You said: streamed {word}"
    assert [one.id for one in sdk.models.list()] == [f"echo/{MODEL}"]

    stored = [one["answers"][0]["message"]["parts"][0]["text"] for one in shared_folder.events("completion_received")]
    assert [text for text in stored if word in text] == [f"You said: whole {word}", f"You said: streamed {word}"]


def test_a_conversation_goes_on_whichever_worker_gets_the_call(shared_folder: Folder, service: RunningService) -> None:
    """Each call has a connection of its own. Who gets it is chance, so that it goes on until both have had some."""
    said: list[str] = []
    ids = set()
    turns: list[str] = []  # the process that worked on each
    while len(turns) < 12 or (len(set(turns)) < 2 and len(turns) < 200):
        said.append(f"{uuid4().hex} {len(turns)}")
        with service.sdk() as sdk:
            answer, conversation = say(sdk, *said)
        said.append(answer)
        ids.add(conversation)
        assert ids == {conversation}
        asked = shared_folder.events("completion_requested")
        turns = [one["process"] for one in asked if one["stream"].endswith(conversation)]
        assert len(turns) == len(said) / 2
    assert len(set(turns)) == 2


def test_every_call_is_in_the_event_table_once(shared_folder: Folder, service: RunningService) -> None:
    word = uuid4().hex

    def call(number: int) -> str:
        with service.sdk() as sdk:
            return say(sdk, f"{word} {number}")[0]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(100)))
    stored = [one["answers"][0]["message"]["parts"][0]["text"] for one in shared_folder.events("completion_received")]
    assert sorted(text for text in stored if word in text) == sorted(answers)
    assert len(set(answers)) == 100
    assert not shared_folder.open_calls()


def test_metrics_are_summed_over_the_workers(shared_folder: Folder, service: RunningService) -> None:
    def counted() -> float:
        families = text_string_to_metric_families(service.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return sum(one.value for one in samples if one.name == "send2llm_calls_total")

    with service.sdk() as sdk:
        say(sdk, "counted")
    stored = len(shared_folder.events("completion_requested"))
    assert {counted() for _ in range(10)} == {stored}  # whichever worker is asked


def test_the_history_follows(service: RunningService, sdk: OpenAI) -> None:
    word = uuid4().hex
    _, conversation = say(sdk, word)

    def found() -> list[tuple[str, int]]:
        listed = service.get(f"/api/conversations?q={word}").json()["data"]
        return [(one["id"], one["message_count"]) for one in listed]

    # A batch of the projector may end between question and answer: wait for both.
    eventually(lambda: found() == [(conversation, 2)])


def test_it_says_nothing_that_it_should_not(service: RunningService, sdk: OpenAI) -> None:
    say(sdk, "a word that is for nobody else: xylophone")
    assert service.get("/readyz").status_code == 200
    service.assert_quiet()
    assert "xylophone" not in service.said()
