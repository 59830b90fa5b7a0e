import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from send2llm.interfaces.cli.send import DEFAULT_CONCURRENCY
from send2llm.testing.api import Failure, FakeApi
from send2llm.testing.api_server import FakeApiServer

SEND2LLM = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()"]


@pytest.fixture
def own_server() -> Iterator[FakeApiServer]:
    """A service that the test may stop."""
    with FakeApiServer(FakeApi()) as server:
        yield server


@pytest.fixture
def two_turns(tmp_path: Path) -> Callable[[int], Path]:
    def write(conversations: int) -> Path:
        path = tmp_path / "batch.jsonl"
        lines = ({"id": n, "turns": [f"first of {n}", f"second of {n}"]} for n in range(conversations))
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def all_answered_once(api: FakeApi, conversations: int) -> bool:
    """Every conversation of ``two_turns`` was held: each message once, each answer once, in order."""
    said = sorted([message["content"] for message in one.messages] for one in api.conversations.values())
    wanted = sorted(
        [f"first of {n}", f"You said: first of {n}", f"second of {n}", f"You said: second of {n}"]
        for n in range(conversations)
    )
    return said == wanted


def test_holds_every_conversation(run, api: FakeApi, two_turns, tmp_path):
    output = tmp_path / "answers.jsonl"
    result = run("send", "--batch", str(two_turns(10)), "--output", str(output), "--max-tokens", "9")
    assert result.exit_code == 0
    assert all_answered_once(api, 10)
    assert result.output.startswith(
        "10 conversations, 20 answers (0 recorded earlier), 0 failed; tokens: 100 in, 100 out; $0.00024; "
    )
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["id"] for line in lines] == list(range(10))
    assert [answer["content"] for answer in lines[3]["answers"]] == ["You said: first of 3", "You said: second of 3"]
    assert lines[3]["error"] is None
    assert {body["max_output_tokens"] for _, path, body in api.requests if path.endswith("/messages")} == {9}


def test_a_second_run_repeats_nothing(run, api: FakeApi, two_turns, tmp_path):
    output, again = tmp_path / "answers.jsonl", tmp_path / "again.jsonl"
    run("send", "--batch", str(two_turns(3)), "--output", str(output))
    summary = json.loads(run("send", "--batch", str(two_turns(3)), "--output", str(again), "--json").output)
    assert all_answered_once(api, 3)
    assert api.answered == 6
    assert (summary["answers"], summary["replayed"], summary["failed"]) == (6, 6, [])
    assert summary["cost_usd"] == "0.000072"
    assert again.read_text() == output.read_text()


def test_another_name_is_another_run(run, api: FakeApi, two_turns):
    run("send", "--batch", str(two_turns(1)))
    run("send", "--batch", str(two_turns(1)), "--name", "again")
    assert len(api.conversations) == 2


def test_another_model_under_the_same_name_is_refused(run, api: FakeApi, two_turns):
    api.models = ("a", "b")
    run("send", "--batch", str(two_turns(1)), "-m", "a")
    result = run("send", "--batch", str(two_turns(1)), "-m", "b")
    assert result.exit_code == 1
    assert "another model or other options" in result.output


def test_sends_nothing_from_a_malformed_file(run, api: FakeApi, tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text('{"prompt": "good"}\n{"promt": "bad"}\n')
    result = run("send", "--batch", str(path))
    assert result.exit_code == 1
    assert "line 2: it needs one of turns, messages and prompt" in result.errors
    assert api.requests == []


def test_sends_nothing_when_the_answers_could_not_be_written(run, api: FakeApi, two_turns, tmp_path):
    result = run("send", "--batch", str(two_turns(1)), "--output", str(tmp_path / "nowhere" / "answers.jsonl"))
    assert result.exit_code == 1
    assert "--output" in result.errors
    assert api.requests == []


def test_keeps_the_system_message_for_the_first_turn(run, api: FakeApi, tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text(
        '{"turns": ["a", "b"]}\n'
        '{"messages": [{"role": "system", "content": "mine"}, {"role": "user", "content": "c"}]}\n'
    )
    run("send", "--batch", str(path), "--system", "common")
    assert sorted(
        [m["content"] for m in one.messages if m["role"] == "system"] for one in api.conversations.values()
    ) == [
        ["common"],
        ["mine"],
    ]


def test_waits_out_passing_failures(run, api: FakeApi, two_turns, monkeypatch):
    monkeypatch.setattr("send2llm.interfaces.cli.batch_run.FIRST_WAIT", 0.001)
    api.failures.extend(
        [
            Failure(503, "store_unavailable"),
            Failure(409, "completion_in_progress", retry_after="0"),
            Failure(500, "internal_error"),
            Failure(429, "provider_rate_limited", retry_after="0"),
            Failure(502, "provider_connection_failed"),
        ]
    )
    result = run("send", "--batch", str(two_turns(2)), "--concurrency", "1")
    assert result.exit_code == 0
    assert all_answered_once(api, 2)
    assert "Waiting: " in result.errors
    assert "Going on." in result.errors


def test_lists_what_failed_for_good_and_goes_on_with_the_rest(run, api: FakeApi, two_turns):
    api.failures.append(Failure(400, "context_length_exceeded", "It is too long."))
    result = run("send", "--batch", str(two_turns(3)), "--concurrency", "1", "--json")
    assert result.exit_code == 1
    summary = json.loads(result.output)
    assert [(one["line"], one["id"], one["error"]) for one in summary["failed"]] == [(1, 0, "It is too long.")]
    assert summary["answers"] == 4
    assert run("send", "--batch", str(two_turns(3))).exit_code == 0
    assert all_answered_once(api, 3)


def test_what_concerns_every_conversation_stops_the_batch(run, api: FakeApi, two_turns):
    result = run("send", "--batch", str(two_turns(50)), "-m", "no such model", "--concurrency", "1")
    assert result.exit_code == 1
    assert "The batch was stopped. There is no model" in result.errors
    assert len(api.conversations) == 1


def test_patience_ends(run, own_server: FakeApiServer, two_turns):
    own_server.stop()
    result = run("send", "--batch", str(two_turns(50)), "--patience", "0.2", "--url", own_server.url)
    assert result.exit_code == 1
    assert "The batch was stopped. No Send2LLM service answers" in result.errors
    assert result.output.startswith("50 conversations, 0 answers (0 recorded earlier), 50 failed")


def test_survives_a_service_that_goes_down_and_comes_up_again(run, own_server: FakeApiServer, two_turns):
    api = own_server.api
    api.stall_after(5)

    def restart() -> None:
        api.wait_until(lambda: api.answered >= 5)
        own_server.stop()
        api.stall_after(None)
        own_server.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    result = run("send", "--batch", str(two_turns(8)), "--url", own_server.url)
    restarting.join()
    assert result.exit_code == 0
    assert all_answered_once(api, 8)
    assert api.answered == 16


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_batch_goes_on_where_it_was(run, api: FakeApi, url, two_turns, sign):
    path = two_turns(8)
    api.stall_after(7)
    with subprocess.Popen(
        [*SEND2LLM, "send", "--batch", str(path), "--url", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        try:
            api.wait_until(lambda: api.answered >= 7)
            first.send_signal(sign)
            _, errors = first.communicate(timeout=30)
        finally:
            first.kill()
    assert first.returncode == (130 if sign is signal.SIGINT else -sign)
    assert "Traceback" not in errors
    assert ("The same command goes on" in errors) == (sign is signal.SIGINT)
    api.stall_after(None)
    summary = json.loads(run("send", "--batch", str(path), "--json").output)
    assert all_answered_once(api, 8)
    assert api.answered == 16
    assert (summary["answers"], summary["failed"]) == (16, [])
    # What the killed run still waited for may be answered before the service notices that it is gone.
    assert 1 <= summary["replayed"] <= 7 + DEFAULT_CONCURRENCY
