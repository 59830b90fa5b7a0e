"""What can be known of the image without building it."""

import re
from collections.abc import Iterator

import pytest
from pages import ROOT
from pydantic import BaseModel

from send2llm.settings import CLIENT_VARIABLES, ENV_PREFIX, Settings

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8")
COMPOSE = (DOCKER / "compose.yaml").read_text("utf-8")


def _copied() -> list[str]:
    """What the image takes from the project."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [path for line in lines for path in line.split()]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    assert sorted(_copied()) == sorted(kept)
    assert [path for path in kept if not (ROOT / path).exists()] == []


def _names(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}__{inner}" for inner in _names(field.annotation))


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["Dockerfile", "compose.yaml"])
def test_variables_are_settings(text: str) -> None:
    known = {name.upper() for name in _names(Settings)} | CLIENT_VARIABLES
    assert set(re.findall(rf"\b{ENV_PREFIX}([A-Z][A-Z_]*[A-Z])\b", text)) <= known


def test_the_composition_builds_this_image_and_knows_its_port() -> None:
    assert "context: ..\n" in COMPOSE
    assert (DOCKER / ".." / re.findall(r"dockerfile: (\S+)", COMPOSE)[0]).is_file()
    port = Settings.model_fields["port"].default
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert f'"127.0.0.1:{port}:{port}"' in COMPOSE


def test_the_service_does_not_run_as_root_and_stops_politely() -> None:
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root)\w+$", final_stage, re.MULTILINE)
    grace = int(re.findall(r"stop_grace_period: (\d+)s", COMPOSE.partition("\n  send2llm:")[2])[0])
    assert grace > Settings.model_fields["shutdown_seconds"].default
