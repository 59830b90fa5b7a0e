"""How far an export has come, as its folder says."""

from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.analysis.manifest import Manifest

CALL = {"conversation": "c", "provider": "echo"}


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(7, "event", 1, "seal", 5, 7, 2, {"a": CALL}, {"b": CALL}, {"b": "calls/part"})
    manifest.write(tmp_path)
    assert Manifest.of(tmp_path) == manifest


@pytest.mark.parametrize(
    "wrong",
    [
        {"position": "x"},
        {"position": None},
        {"seal": 1.5},
        {"last_event": 3},
        {"open_calls": 3},
        {"open_calls": {"a": 3}},
        {"written_off": []},
        {"row_parts": {"b": 3}},
        {"colour": "red"},
    ],
    ids=str,
)
def test_values_of_other_types_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    (tmp_path / "manifest.json").write_bytes(orjson.dumps({**asdict(Manifest()), **wrong}))
    with pytest.raises(ConfigurationError, match="is not what an export writes; export into another folder"):
        Manifest.of(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", "{}", "null"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigurationError, match="is not what an export writes"):
        Manifest.of(tmp_path)


def test_one_of_another_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 1, "log": "x"}')
    with pytest.raises(ConfigurationError, match="another version"):
        Manifest.of(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is a file; name a folder"):
        Manifest.of(tmp_path / "file")
