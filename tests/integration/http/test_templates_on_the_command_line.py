"""Prompt templates on the command line, before the real service."""

import json
from pathlib import Path

import pytest
from command_line import run

from gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listed(gateway: Gateway, name: str, *arguments: str) -> list[str] | None:
    """The words of a template's line in the list; other tests may have templates beside it."""
    _, output, _ = await run(gateway, "templates", "list", *arguments)
    lines = [line.split() for line in output.splitlines()]
    return next((line for line in lines if line[0] == name), None)


async def test_a_template_from_its_first_day_to_its_last(gateway: Gateway, tmp_path: Path) -> None:
    text = tmp_path / "greeting.txt"
    text.write_text("Greet {{name}} in {{count}} words.\n")
    code, _, errors = await run(gateway, "templates", "set", "greeting", str(text), "--variable", "count=number")
    assert (code, errors) == (0, "greeting is at version 1; variables: name, count.\n")

    whole = tmp_path / "greeting.json"
    whole.write_text(
        json.dumps({"messages": [{"role": "system", "content": "Hi."}, {"role": "user", "content": "{{x}}"}]})
    )
    code, output, _ = await run(gateway, "templates", "set", "greeting", str(whole), "--json")
    assert json.loads(output)["version"] == 2

    code, output, errors = await run(gateway, "templates", "show", "greeting", "--version", "1")
    assert output == "system\nGreet {{name}} in {{count}} words.\n\n"
    assert errors == "greeting version 1 of 2 · variables: name (text), count (number)\n"

    assert await listed(gateway, "greeting") == ["greeting", "2", "in", "use"]
    assert (await run(gateway, "templates", "retire", "greeting", "--reason", "old"))[0] == 0
    assert await listed(gateway, "greeting") is None
    assert "retired" in (await listed(gateway, "greeting", "--retired") or [])


async def test_standard_input_will_do(gateway: Gateway) -> None:
    code, _, errors = await run(gateway, "templates", "set", "piped", "-", "--role", "user", stdin="Hello")
    assert (code, errors) == (0, "piped is at version 1; variables: none.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "x", "nowhere.txt"), "nowhere.txt cannot be read"),
        (("set", "x", "-", "--variable", "n"), "write --variable n=number"),
        (("set", "x", "-", "--role", "boss"), "messages.0.role"),
        (("show", "nobody"), "There is no prompt template 'nobody'"),
        (("set", "a/b", "-"), "Error: "),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(gateway: Gateway, arguments: tuple[str, ...], words: str) -> None:
    code, _, errors = await run(gateway, "templates", *arguments, stdin="Hello")
    assert code == 1
    assert words in errors
    assert errors.count("\n") == 1
