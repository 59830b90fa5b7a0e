import json

from send2llm.testing.api import FakeApi, FakeConversation


def conversations(api: FakeApi, *names: str, **labels: str) -> None:
    for name in names:
        api.conversations[name] = FakeConversation(name, labels)


def erased(api: FakeApi) -> set[str]:
    return {one.id for one in api.conversations.values() if one.erased}


def test_asks_first(run, api: FakeApi):
    conversations(api, "a", "b")
    asked = run("erase", "a", stdin="n\n")
    assert (asked.exit_code, erased(api)) == (1, set())
    assert "cannot be undone" in asked.errors
    assert run("erase", "a", stdin="y\n").exit_code == 0
    assert erased(api) == {"a"}


def test_ids_from_standard_input_need_a_yes(run, api: FakeApi):
    conversations(api, "a", "b", "c")
    assert "--yes" in run("erase", "-", stdin="a b").errors
    assert erased(api) == set()
    done = run("erase", "-", "--yes", "--reason", "request 7", stdin="a\nb\n")
    assert "2 conversations" in done.errors
    assert erased(api) == {"a", "b"}
    assert api.requests[-1][2] == {"reason": "request 7"}


def test_all_with_a_label_whatever_the_pages(run, api: FakeApi):
    conversations(api, *(f"own-{number}" for number in range(130)), user="4711", team="docs")
    conversations(api, "another", user="4712")
    assert "130 conversations" in run("erase", "--label", "user=4711", "--label", "team=docs", "--yes").errors
    assert len(erased(api)) == 130
    assert "another" not in erased(api)
    assert "erased already" in run("erase", "--label", "user=4711", "--yes").errors


def test_what_cannot_be_erased_does_not_stop_the_rest(run, api: FakeApi):
    conversations(api, "a", "b", "c")
    api.conversations["a"].awaited = True
    done = run("erase", "a", "nothing", "b", "--yes")
    assert (done.exit_code, erased(api)) == (1, {"b"})
    assert "a is not erased: " in done.errors
    assert "nothing is not erased: " in done.errors
    told = json.loads(run("erase", "a", "c", "--yes", "--json").output)
    assert [one["id"] for one in told["data"]] == ["c"]
    assert [(one["id"], one["code"]) for one in told["refused"]] == [("a", "completion_in_progress")]


def test_ids_or_labels(run, api: FakeApi):
    conversations(api, "a", user="4711")
    assert run("erase", "--yes").exit_code == 2
    assert run("erase", "a", "--label", "user=4711", "--yes").exit_code == 2
    assert erased(api) == set()
