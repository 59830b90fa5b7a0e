import pytest

from send2llm.testing.api import FakeApi


@pytest.mark.parametrize(
    "command",
    [
        ["close", "?"],
        ["feedback", "?", "1"],
        ["history", "?"],
        ["events", "--conversation", "?"],
        ["send", "hello", "--conversation", "?"],
    ],
    ids=lambda command: command[0],
)
def test_an_odd_id_is_that_of_no_conversation(run, api: FakeApi, command: list[str]):
    done = run(*command)
    assert done.exit_code == 1
    assert "`send2llm history` lists the conversations." in done.errors
