import json
from uuid import UUID

from send2llm.testing.api import FakeApi, FakeConversation

A, B, C, NOBODY = (str(UUID(int=number)) for number in range(4))


def conversations(api: FakeApi, *names: str, **labels: str) -> None:
    for name in names:
        api.conversations[name] = FakeConversation(name, labels)


def erased(api: FakeApi) -> set[str]:
    return {one.id for one in api.conversations.values() if one.erased}


def test_asks_first(run, api: FakeApi):
    conversations(api, A, B)
    asked = run("erase", A, stdin="n\n")
    assert (asked.exit_code, erased(api)) == (1, set())
    assert "cannot be undone" in asked.errors
    assert run("erase", A, stdin="y\n").exit_code == 0
    assert erased(api) == {A}


def test_ids_from_standard_input_need_a_yes(run, api: FakeApi):
    conversations(api, A, B, C)
    assert "--yes" in run("erase", "-", stdin=f"{A} {B}").errors
    assert erased(api) == set()
    done = run("erase", "-", "--yes", "--reason", "request 7", stdin=f"{A}\nconversation-{B}\n")
    assert "2 conversations" in done.errors
    assert erased(api) == {A, B}
    assert api.requests[-1][2] == {"reason": "request 7"}


def test_all_with_a_label_whatever_the_pages(run, api: FakeApi):
    conversations(api, *(f"own-{number}" for number in range(130)), user="4711", team="docs")
    conversations(api, "another", user="4712")
    assert "130 conversations" in run("erase", "--label", "user=4711", "--label", "team=docs", "--yes").errors
    assert len(erased(api)) == 130
    assert "another" not in erased(api)
    assert "erased already" in run("erase", "--label", "user=4711", "--yes").errors


def test_what_cannot_be_erased_does_not_stop_the_rest(run, api: FakeApi):
    conversations(api, A, B, C)
    api.conversations[A].awaited = True
    done = run("erase", A, NOBODY, B, "--yes")
    assert (done.exit_code, erased(api)) == (1, {B})
    assert f"{A} is not erased: " in done.errors
    assert f"{NOBODY} is not erased: " in done.errors
    told = json.loads(run("erase", A, C, "--yes", "--json").output)
    assert [one["id"] for one in told["data"]] == [C]
    assert [(one["id"], one["code"]) for one in told["refused"]] == [(A, "completion_in_progress")]


def test_what_is_no_id_reaches_no_other_address(run, api: FakeApi):
    conversations(api, A, B)
    for wrong in ("?", "../budgets", f"{A}/../{A}", "conversation-", "a"):
        done = run("erase", wrong, "--yes")
        assert (done.exit_code, done.errors) == (
            1,
            f"{wrong} is not erased: It is not the id of a conversation. `send2llm history` lists the conversations.\n",
        )
    assert api.requests == []
    assert run("erase", "?", B, stdin="y\n").exit_code == 1
    assert erased(api) == {B}


def test_ids_or_labels(run, api: FakeApi):
    conversations(api, A, user="4711")
    assert run("erase", "--yes").exit_code == 2
    assert run("erase", A, "--label", "user=4711", "--yes").exit_code == 2
    assert erased(api) == set()
