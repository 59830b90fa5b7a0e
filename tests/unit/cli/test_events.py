import json
import signal
import subprocess
import sys

from send2llm.testing.api import FakeApi
from send2llm.testing.api_server import FakeApiServer

SEND2LLM = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()"]


def positions(output: str) -> list[int]:
    return [json.loads(line)["position"] for line in output.splitlines()]


def test_lists_the_last_events(run, api: FakeApi):
    for number in range(60):
        api.record(None, "other.thing_happened", {"number": number, "empty": None})
    assert positions(run("events", "--json").output) == list(range(11, 61))
    assert positions(run("events", "--json", "--limit", "2").output) == [59, 60]
    last = run("events").output.splitlines()[-1]
    assert last.split()[0] == "60"
    assert last.endswith("other v1 number=59")


def test_a_pipe_gets_the_whole_event_on_one_line(run, api: FakeApi):
    api.record(None, "other.thing_happened", {"text": "word " * 200 + "end"})
    assert run("events").output.rstrip("\n").count("\n") == 0
    assert run("events").output.endswith("end\n")


def test_lists_all_after_a_position_page_by_page(run, api: FakeApi, monkeypatch):
    monkeypatch.setattr("send2llm.interfaces.cli.events.PAGE", 4)
    for number in range(10):
        api.record(None, "other.thing_happened", {"number": number})
    assert positions(run("events", "--json", "--after", "2").output) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert positions(run("events", "--json", "--after", "2", "--limit", "5").output) == [3, 4, 5, 6, 7]


def test_lists_those_of_a_conversation_or_a_topic(run, api: FakeApi):
    run("send", "one")
    api.record(None, "other.thing_happened", {})
    (identifier,) = api.conversations
    assert positions(run("events", "--json", "-c", identifier).output) == [1, 2]
    assert positions(run("events", "--json", "--topic", "other.thing_happened").output) == [3]
    assert positions(run("events", "--json", "-c", identifier, "--topic", "conversation.started").output) == [1]


def test_lists_those_of_several_topics_or_of_a_tenant(run, api: FakeApi):
    for number in range(6):
        api.record(None, f"other.thing_{number % 3}", {})
    api.events[3]["tenant"] = "acme"
    assert positions(run("events", "--json", "--topic", "other.thing_0", "--topic", "other.thing_2").output) == [
        1, 3, 4, 6,
    ]  # fmt: skip
    assert positions(run("events", "--json", "--tenant", "acme").output) == [4]


def test_follows_a_conversation_from_a_version(run, api: FakeApi):
    run("send", "one")
    api.record(None, "other.thing_happened", {})
    (identifier,) = api.conversations
    follow = ("events", "--json", "--follow", "--limit", "1")
    assert positions(run(*follow, "-c", identifier, "--after", "1").output) == [2]
    assert positions(run(*follow, "--after", "2").output) == [3]
    assert "There is no conversation" in run(*follow, "-c", "nobody").errors


def test_nothing_to_list(run):
    result = run("events")
    assert (result.exit_code, result.output) == (0, "")
    assert "no such events" in result.errors


def test_follows_through_a_restart_of_the_service():
    api = FakeApi()
    api.record(None, "other.thing_happened", {})
    with FakeApiServer(api) as server:
        command = [*SEND2LLM, "events", "--follow", "--json", "--after", "0", "--url", server.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            assert following.stderr is not None
            try:
                assert positions(following.stdout.readline()) == [1]
                api.record(None, "other.thing_happened", {})
                assert positions(following.stdout.readline()) == [2]
                server.stop()
                assert "Waiting for it." in following.stderr.readline()
                api.record(None, "other.thing_happened", {})
                server.start()
                assert positions(following.stdout.readline()) == [3]
                following.send_signal(signal.SIGINT)
                assert following.wait(timeout=30) == 130
                assert "Traceback" not in following.stderr.read()
            finally:
                following.kill()
