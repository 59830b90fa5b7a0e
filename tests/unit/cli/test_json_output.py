"""Whatever a command tells people, it tells programs as well."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from send2llm.infrastructure.local_model import model_path
from send2llm.interfaces.cli import main
from send2llm.interfaces.cli.app import app

TELLS_NOTHING = {"serve"}
"""It runs until it is stopped; what it logs is JSON already."""


def commands(group: TyperGroup, place: str = "") -> Iterator[tuple[str, TyperCommand]]:
    for name in group.commands:
        command = group.commands[name]
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{place}{name} ")
        elif isinstance(command, TyperCommand):
            yield place + name, command


def test_every_command_can_tell_it_as_json() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    silent = {
        name for name, command in commands(root) if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert silent == TELLS_NOTHING


def test_local_fetch_tells_where_the_model_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched = model_path(tmp_path)
    fetched.parent.mkdir()
    fetched.touch()
    monkeypatch.setenv("SEND2LLM_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["local", "fetch", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out) == {"path": str(fetched)}
