"""A build that is waited for: how it ends, and that nobody waits for ever."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner

from send2llm.interfaces.cli import projection_watch, projections
from send2llm.interfaces.cli.errors import CommandFailed

BUILD = {
    "name": "tally", "version": 1, "build": 2, "role": "building", "state": "running", "position": 3, "head": 9,
    "lag_events": 6, "rate": 2.0, "remaining_seconds": 3.0, "error": None,
}  # fmt: skip


class Standing:
    """A service of which each look finds the next state of the build, at last the same again and again."""

    def __init__(self, *changes: dict[str, Any]) -> None:
        self._states: Iterator[dict[str, Any]] = iter([{**BUILD, **change} for change in changes])
        self._last: dict[str, Any] = BUILD
        self.looks = 0

    def post(self, _path: str, _body: object) -> dict[str, Any]:
        return BUILD

    def get(self, _path: str) -> dict[str, Sequence[dict[str, Any]]]:
        self.looks += 1
        self._last = next(self._states, self._last)
        return {"data": [self._last]}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection_watch, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(projection_watch, "PATIENCE", 0.01)


def test_it_is_waited_for_until_it_is_read() -> None:
    service = Standing({}, {"position": 9}, {"role": "live"})
    assert projection_watch.watched(service, BUILD)["role"] == "live"
    assert service.looks == 3


def test_a_runner_that_is_away_for_a_moment_is_waited_for() -> None:
    service = Standing(*[{"state": "waiting"}] * 5, {}, *[{"state": "waiting"}] * 5, {"role": "live"})
    assert projection_watch.watched(service, BUILD)["role"] == "live"


def test_nobody_waits_for_ever_for_a_build_that_nobody_works_on() -> None:
    with pytest.raises(CommandFailed, match=r"No process works on tally 1\.2.*projections drop tally 1\.2"):
        projection_watch.watched(Standing({"state": "waiting"}), BUILD)


@pytest.mark.parametrize(
    ("command", "end", "code"),
    [
        ("rebuild", {"role": "live"}, 0),
        ("rebuild", {"state": "failed", "error": "ValueError: no"}, 1),
        ("verify", {"role": "verified"}, 0),
        ("verify", {"role": "different", "error": "counts: 1 row"}, 1),
        ("verify", {"role": "verifying", "state": "failed", "error": "ValueError: no"}, 1),
    ],
)
def test_only_what_was_to_be_ends_well(
    monkeypatch: pytest.MonkeyPatch, command: str, end: dict[str, Any], code: int
) -> None:
    monkeypatch.setattr(projections, "connect", lambda _url: nullcontext(Standing(end)))
    assert CliRunner().invoke(projections.app, [command, "tally"]).exit_code == code


def test_who_does_not_wait_is_told_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "connect", lambda _url: nullcontext(Standing({})))
    assert CliRunner().invoke(projections.app, ["verify", "tally", "--no-wait"]).exit_code == 0


def test_who_keeps_it_from_taking_its_place_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    held_up = {"position": 9, "waits_for": "Sessions 17 read tally_counts."}
    projection_watch.watched(Standing(*[held_up] * 3, {"role": "live"}), BUILD)
    assert capsys.readouterr().err.count("Sessions 17 read tally_counts.") == 1
