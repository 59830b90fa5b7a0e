"""``send2llm projections new`` writes what runs."""

from pathlib import Path

import pytest

from send2llm.application.projections import reads_texts
from send2llm.infrastructure.projections.loading import own_projections
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.new_projection import write_projection


def test_a_new_projection_can_be_loaded_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "reports"

    files = write_projection("answers_by_model", folder)

    assert [file.name for file in files] == ["answers_by_model.py", "test_answers_by_model.py"]
    installed = len(own_projections([]))
    assert [projection.name for projection in own_projections([str(folder)])[installed:]] == ["answers_by_model"]


def test_it_asks_for_no_texts_since_it_needs_none(tmp_path: Path) -> None:
    write_projection("answers_by_model", tmp_path)

    assert not reads_texts(own_projections([str(tmp_path)])[-1])


def test_a_name_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="it has 41 characters, and 40 are the most"):
        write_projection("x" * 41, tmp_path)


@pytest.mark.parametrize("name", ["", "Answers", "a b", "1st", "a__b"])
def test_a_name_that_no_table_could_bear_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="lower case words"):
        write_projection(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test_speed", "are passed over"),
        ("class", "a word of Python"),
        ("none", "a word of Python"),
        ("usage", "of Send2LLM's own"),
        ("relay_nats", "of Send2LLM's own"),
        ("sqlalchemy", "is a module already"),
        ("statistics", "is a module already"),
    ],
)
def test_a_name_that_no_service_or_test_could_use_is_refused(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=told):
        write_projection(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_projection("mine", tmp_path)

    with pytest.raises(CommandFailed, match="exists already"):
        write_projection("mine", tmp_path)
