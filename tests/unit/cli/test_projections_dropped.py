"""``send2llm projections drop``: a build, or all of a projection, and never one where the other was meant."""

from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from send2llm.interfaces.cli import projections
from send2llm.interfaces.cli.errors import CommandFailed


class Service:
    """Remembers what it was to remove."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def delete(self, path: str) -> None:
        self.removed.append(path)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [(["1.2"], "/api/projections/tally/builds/1.2"), (["--all"], "/api/projections/tally")],
)
def test_what_is_named_is_removed(monkeypatch: pytest.MonkeyPatch, arguments: list[str], path: str) -> None:
    service = Service()
    monkeypatch.setattr(projections, "connect", lambda _url: nullcontext(service))
    assert CliRunner().invoke(projections.app, ["drop", "tally", *arguments]).exit_code == 0
    assert service.removed == [path]


@pytest.mark.parametrize("arguments", [[], ["1.2", "--all"]])
def test_nothing_is_removed_unless_it_is_clear_what(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    service = Service()
    monkeypatch.setattr(projections, "connect", lambda _url: nullcontext(service))
    ended = CliRunner().invoke(projections.app, ["drop", "tally", *arguments])
    assert isinstance(ended.exception, CommandFailed)
    assert service.removed == []
