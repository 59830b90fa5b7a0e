import json

from send2llm.testing.api import FakeApi


def test_lists_conversations_the_latest_first(run):
    run("send", "the first one")
    run("send", "the second one")
    output = run("history").output
    assert output.index("the second one") < output.index("the first one")
    assert "1,239" in output
    assert "\x1b" not in output


def test_lists_ids_whole_and_titles_on_one_line(run, api: FakeApi):
    run("send", "a title\nof two lines [bold]as written[/bold] " + "and long " * 40)
    output = run("history").output
    (identifier,) = api.conversations
    assert identifier in output
    assert "a title of two lines [bold]as written[/bold]" in output
    assert len([line for line in output.splitlines() if line.strip()]) == 2


def test_a_narrow_terminal_shows_less_but_ids_whole(run, api: FakeApi, monkeypatch):
    run("send", "a title " * 30)
    (identifier,) = api.conversations
    monkeypatch.setattr("send2llm.interfaces.cli.output.PIPED_WIDTH", 90)
    heading, line = run("history").output.splitlines()
    assert heading.split() == ["id", "started", "cost", "title"]
    assert line.startswith(identifier)
    assert line.rstrip().endswith("…")
    assert len(line.rstrip()) <= 90


def test_an_empty_history_says_how_to_begin(run):
    result = run("history")
    assert result.output == ""
    assert "send2llm send" in result.errors


def test_passes_the_filters_on(run, api: FakeApi):
    run("history", "-m", "m", "--provider", "p", "--state", "open", "-q", "words", "--since", "2026-01-01T00:00:00Z")
    assert api.requests[-1][1] == (
        "/api/conversations?limit=20&model=m&provider=p&state=open&q=words&started_after=2026-01-01T00%3A00%3A00Z"
    )


def test_collects_pages_up_to_the_limit(run, api: FakeApi):
    for number in range(3):
        run("send", f"message {number}")
    page = json.loads(run("history", "--limit", "2", "--json").output)
    assert len(page["data"]) == 2
    rest = json.loads(run("history", "--cursor", page["next_cursor"], "--json").output)
    assert [line["title"] for line in page["data"] + rest["data"]] == ["message 2", "message 1", "message 0"]
    assert rest["next_cursor"] is None


def test_shows_a_conversation(run, api: FakeApi):
    run("send", "one", "--system", "Be kind.")
    (identifier,) = api.conversations
    result = run("history", identifier)
    assert result.output == "system\nBe kind.\n\nuser\none\n\nassistant\nYou said: one\n\n"
    assert f"conversation {identifier} · open · version 2" in result.errors
    assert [m["role"] for m in json.loads(run("history", identifier, "--json").output)["messages"]] == [
        "system",
        "user",
        "assistant",
    ]


def test_shows_a_conversation_as_it_was(run, api: FakeApi):
    run("send", "one")
    (identifier,) = api.conversations
    assert run("history", identifier, "--at", "2").output == "user\none\n\n"
    run("history", "--at", "2026-11-23T12:00", "--limit", "400")
    assert api.requests[-1][1] == "/api/conversations?limit=400&at=2026-11-23T12%3A00%3A00%2B00%3A00"


def test_projections(run):
    assert "history" in run("projections").output
    assert json.loads(run("projections", "--json").output)["data"][0]["state"] == "running"


def test_feedback_takes_negative_scores(run, api: FakeApi):
    run("send", "one")
    (identifier,) = api.conversations
    assert run("feedback", identifier, "-1", "--comment", "wrong").exit_code == 0
    assert api.events[-1]["data"] == {"score": -1.0, "comment": "wrong"}
    assert run("feedback", identifier, "2").exit_code == 2
    assert json.loads(run("feedback", identifier, "0.5", "--completion", "c", "--json").output)["completion_id"] == "c"


def test_close(run, api: FakeApi):
    run("send", "one")
    (identifier,) = api.conversations
    assert json.loads(run("close", identifier, "--reason", "done", "--json").output)["state"] == "closed"
    result = run("send", "more", "-c", identifier)
    assert result.exit_code == 1
    assert "is closed" in result.errors
