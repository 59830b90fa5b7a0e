import json

import pytest

from send2llm.testing.api import CUT, MODEL, Failure, FakeApi


def test_prints_the_answer_and_says_on_the_side_what_it_took(run, api: FakeApi):
    result = run("send", "Why", "is the sky blue?")
    assert result.exit_code == 0
    assert result.output == "You said: Why is the sky blue?\n"
    (conversation,) = api.conversations
    assert result.errors.split() == f"conversation {conversation} · {MODEL} · tokens: 5 in, 7 out · $0.000012".split()


def test_asks_for_a_stream_unless_told_otherwise(run, api: FakeApi):
    run("send", "one")
    run("send", "two", "--no-stream")
    bodies = [body for _, path, body in api.requests if path.endswith("/messages")]
    assert [body.get("stream") for body in bodies] == [True, None]
    assert bodies[0]["content"] == "one"


def test_passes_the_options_on(run, api: FakeApi):
    api.models = ("a", "b")
    run("send", "hi", "-m", "b", "--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.5")
    assert api.requests[-1][2] == {
        "model": "b",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_output_tokens": 7,
        "temperature": 0.5,
        "stream": True,
    }


def test_the_model_comes_from_the_environment_before_the_first_one_offered(run, api: FakeApi, monkeypatch):
    api.models = ("a", "b")
    run("send", "hi")
    monkeypatch.setenv("SEND2LLM_MODEL", "b")
    run("send", "hi")
    assert [body["model"] for _, path, body in api.requests if path.endswith("/messages")] == ["a", "b"]


@pytest.mark.parametrize("words", [[], ["-"]])
def test_reads_standard_input_when_there_are_no_words_or_a_dash(run, words):
    assert run("send", *words, stdin="from a pipe\n").output == "You said: from a pipe\n"


def test_a_dash_among_words_stands_for_standard_input(run, api: FakeApi):
    run("send", "Review this:", "-", stdin="diff\n")
    assert api.requests[-1][2]["content"] == "Review this:\n\ndiff"


def test_leaves_standard_input_alone_when_there_are_words(run, api: FakeApi):
    run("send", "hello", stdin="the rest of a shell loop's input")
    assert api.requests[-1][2]["content"] == "hello"


@pytest.mark.parametrize(("stdin", "said"), [(b" \n", "the text is empty"), (b"\xff\xfe", "not UTF-8")])
def test_sends_nothing_when_standard_input_is_no_text(run, api: FakeApi, stdin, said):
    result = run("send", stdin=stdin)
    assert result.exit_code == 1
    assert said in result.errors
    assert api.requests == []


def test_prints_one_json_document(run, api: FakeApi):
    result = run("send", "hi", "--json")
    document = json.loads(result.output)
    assert document["message"]["content"] == "You said: hi"
    assert document["conversation_id"] in api.conversations
    assert result.errors == ""


def test_continues_the_conversation_that_is_named(run, api: FakeApi):
    run("send", "one")
    (identifier,) = api.conversations
    run("send", "two", "--conversation", identifier)
    assert api.conversations[identifier].answers == ["You said: one", "You said: two"]


def test_continues_the_last_conversation_with_its_model(run, api: FakeApi):
    api.models = ("a", "b")
    run("send", "one", "-m", "b")
    run("send", "two", "-C")
    assert len(api.conversations) == 1
    assert api.requests[-1][2]["model"] == "b"


def test_continuing_needs_a_last_conversation(run):
    result = run("send", "two", "--continue")
    assert result.exit_code == 1
    assert "no conversation to continue yet" in result.errors


def test_continuing_elsewhere_says_where_the_last_conversation_was(run, url):
    run("send", "one")
    result = run("send", "two", "--continue", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert f"--url {url}" in result.errors


def test_a_cut_stream_is_no_success(run, api: FakeApi):
    api.failures.append(CUT)
    result = run("send", "ten letters")
    assert result.exit_code == 1
    assert result.output == "You said: \n"
    assert "connection to the service" in result.errors
    assert "Traceback" not in result.errors


def test_an_error_in_the_stream_is_told(run, api: FakeApi):
    api.failures.append(Failure(502, "provider_stream_broken", "The stream broke.", late=True))
    result = run("send", "hello there")
    assert result.exit_code == 1
    assert "Error: The stream broke." in result.errors


def test_an_answer_cannot_command_the_terminal(run, api: FakeApi, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    api.answer = lambda _: "\x1b]52;c;aGk=\x07red\x1b[31m\ttab"
    assert "\x1b" not in run("send", "hi").output


def test_an_answer_goes_into_a_pipe_as_it_is(run, api: FakeApi):
    api.answer = lambda _: "\x1b[31mred"
    assert run("send", "hi").output == "\x1b[31mred\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hi", "--concurrency", "2"], "--concurrency works only with --batch"),
        (["hi", "--patience", "0"], "--patience works only with --batch"),
        (["hi", "--batch", "f.jsonl"], "TEXT works only without --batch"),
        (["hi", "-c", "x", "-C"], "--conversation and --continue exclude each other"),
        (["hi", "--max-tokens", "0"], "greater than or equal to 1"),
    ],
)
def test_refuses_options_that_do_not_fit(run, api: FakeApi, arguments, said):
    result = run("send", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.errors.replace("│", "").split())
    assert api.requests == []
