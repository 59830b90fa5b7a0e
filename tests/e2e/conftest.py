"""The wheel, built and installed once; a provider process; data folders that nothing may outlive."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from installed import Folder, Provider

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent

NewFolder = Callable[[], Folder]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts services as processes, several times, takes its time on a busy machine."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``send2llm`` from the wheel, in an environment that takes only its dependencies from this one."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(PROJECT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    environment = place / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", str(wheel)]
    subprocess.run([*install, "--no-index", "--disable-pip-version-check"], check=True, capture_output=True)
    # A path file adds the folder alone: the path files inside it, of this project's editable install, do not count.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    where = [str(python), "-c", "import send2llm; print(send2llm.__file__)"]
    shown = subprocess.run(where, check=True, capture_output=True, text=True, cwd=place).stdout
    assert shown.startswith(str(packages)), shown
    return environment / "bin" / "send2llm"


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    process = subprocess.Popen([sys.executable, HERE / "echoing_provider.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        yield Provider(process.stdout.readline().strip())
        process.terminate()


@contextmanager
def _folder(command: Path, provider: Provider) -> Iterator[Folder]:
    # A short path, for PostgreSQL's socket; not pytest's, which the account of root's server cannot enter.
    with TemporaryDirectory(prefix="s2l-") as path:
        Path(path).chmod(0o755)
        folder = Folder(Path(path), command, provider)
        folder.write_configuration()
        try:
            yield folder
            for service in folder.services:
                if service.process.poll() is None:
                    service.stop()
            left = psutil.wait_procs(folder.processes(), 10)[1]
            assert not left, left
        finally:
            for process in folder.processes():
                process.kill()
            for service in folder.services:
                service.process.wait(10)


@pytest.fixture
def new_folder(command: Path, provider: Provider) -> Iterator[NewFolder]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_folder(command, provider))


@pytest.fixture
def folder(new_folder: NewFolder) -> Folder:
    """A folder of the test's own."""
    return new_folder()


@pytest.fixture(scope="module")
def shared_folder(command: Path, provider: Provider) -> Iterator[Folder]:
    with _folder(command, provider) as folder:
        yield folder
