"""The house keeps its shape: arrows point inward, nothing goes in circles, nothing grows without a reason."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import send2llm
from send2llm.bootstrap.followers import built_in_projections

PACKAGE = Path(send2llm.__file__).parent
PROJECT = Path(__file__).parents[2]
MODULES = sorted(PACKAGE.rglob("*.py"))

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
REASON = re.compile(r"# Longer than \d+ lines because \w+")
"""What a module or function beyond the limit has to say for itself."""


def module_id(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def functions(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each function of a module with its lines, decorators not counted."""
    source = path.read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, lines[node.lineno - 1 : node.end_lineno]


def test_the_contracts_between_layers_are_kept():
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", PROJECT / "pyproject.toml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_nothing_is_imported_in_circles():
    graph = grimp.build_graph("send2llm", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail("Imports go in a circle: " + " <- ".join(error.args[1]))


def test_built_in_projections_are_written_with_what_everybody_has():
    """What they import of Send2LLM is public, or a part of theirs."""
    graph, folder = grimp.build_graph("send2llm", cache_dir=None), "send2llm.infrastructure.read_models."
    parts = {type(projection).__module__ for projection in built_in_projections()}
    used = {module for part in parts for module in graph.find_modules_directly_imported_by(part)}
    while more := {module for module in used if module.startswith(folder)} - parts:
        parts |= more
        used |= {module for part in more for module in graph.find_modules_directly_imported_by(part)}
    assert used - parts == {"send2llm.projections", "send2llm.events"}
    assert len(parts) > 10


def test_every_module_is_looked_at():
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_modules_are_short_or_say_why_not(path):
    source = path.read_text()
    length = len(source.splitlines())
    assert length <= LONGEST_MODULE or REASON.search(source), (
        f"{module_id(path)} has {length} lines. Divide it, or write '# Longer than {LONGEST_MODULE} lines because ...'."
    )


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_functions_are_short_or_say_why_not(path):
    too_long = {
        name: len(lines)
        for name, lines in functions(path)
        if len(lines) > LONGEST_FUNCTION and not REASON.search("\n".join(lines))
    }
    assert not too_long, f"Divide them, or write '# Longer than {LONGEST_FUNCTION} lines because ...'."
