"""Links lead somewhere, files that are named exist, and snippets of configuration and commands are valid."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES, ROOT, Block, anchors, blocks, links, name_of
from typer.main import get_command

from send2llm.interfaces.cli.app import app
from send2llm.settings import CLIENT_VARIABLES, ENV_PREFIX, Settings, load_settings

FILE = re.compile(r"`((?:src|tests|docs|docker|examples|benchmarks|requirements|\.ci)/[\w./-]*)`")
VARIABLE = re.compile(rf"\b{ENV_PREFIX}([A-Z][A-Z_]*[A-Z])\b")
COMMAND = re.compile(r"(?:^|[`$;&|] ?|\bbin/)send2llm ((?:[a-z]+)(?: [^`\n|;&]*)?)", re.MULTILINE)
PLACEHOLDERS = {"docs/adr/NNNN-what-was-decided.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{name_of(page)} links to {target}; there are {sorted(anchors(found))}"


def test_every_page_is_in_a_list() -> None:
    """Decisions in theirs, all others in that of the documentation."""
    lists = [ROOT / "docs" / "README.md", ROOT / "docs" / "adr" / "README.md"]
    listed = {(one.parent / target.partition("#")[0]).resolve() for one in lists for target in links(one)}
    pages = {page for page in PAGES if (ROOT / "docs") in page.parents and page not in lists}
    assert pages - listed == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(FILE.findall(page.read_text("utf-8"))) - PLACEHOLDERS
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_that_are_named_exist(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    named = {variable.split("__")[0] for variable in VARIABLE.findall(page.read_text("utf-8"))}
    assert named - known <= {"PROT"}  # the misspelling that shows what becomes of one


@pytest.mark.parametrize("block", [block for block in blocks("toml") if not block.note], ids=str)
def test_configuration_is_valid(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r'"env:(\w+)"', block.text):
        monkeypatch.setenv(variable, "sk-example")
    config = tmp_path / "send2llm.toml"
    config.write_text(block.text, "utf-8")
    load_settings({}, config)


@pytest.mark.parametrize("block", list(blocks("json")), ids=str)
def test_json_is_json(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line)


def _commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for line in COMMAND.findall(page.read_text("utf-8")):
            yield name_of(page), line


def _commands_of(group: Any) -> Mapping[str, Any]:
    """By their names; a plain command has none."""
    return getattr(group, "commands", {})


@pytest.mark.parametrize(("page", "line"), sorted(set(_commands())))
def test_commands_and_options_exist(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    command = _commands_of(get_command(app))[words.pop(0)]
    if words and words[0] in _commands_of(command):
        command = _commands_of(command)[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert [word for word in words if word.startswith("--") and word.partition("=")[0] not in options] == []


def test_the_examples_of_the_changelog_name_every_command() -> None:
    listed = re.search(r"`send2llm ([a-z| ]+)`", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert listed
    assert set(listed[1].split(" | ")) == set(_commands_of(get_command(app)))
