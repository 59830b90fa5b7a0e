"""A handler of one's own comes in a package of its own, by the door of the built-in ones."""

import subprocess
import sys
from pathlib import Path

import pytest
from house import House, user

from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.infrastructure.handlers.loading import load_handlers
from send2llm.testing.providers import answer

PACKAGE = Path(__file__).parents[3] / "examples" / "handler_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed it; without a network, and not beside this project's own packages."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    done = subprocess.run([*pip, *offline, "--target", folder, PACKAGE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "shouting", raising=False)


@pytest.mark.usefixtures("installed")
async def test_it_is_found_by_its_name_and_used():
    house = House(handlers=load_handlers(["template", "shout"], {"shout": {"forbidden": ["please"]}}))
    house.provider.script(answer("Good day."))
    reply = await house.complete(user("Hello"))
    assert reply.completion.answers[0].message.text == "GOOD DAY."
    deltas = [delta for batch in await house.streamed(user("Hello")) for delta in batch]
    assert "".join(delta.text for delta in deltas) == "GOOD DAY."
    with pytest.raises(InvalidRequest):
        await house.complete(user("Hello, please"))


@pytest.mark.usefixtures("installed")
def test_its_options_are_its_own():
    with pytest.raises(
        ConfigurationError, match=r"handler_options\.shout\.forbiden is no option\. Did you mean forbidden"
    ):
        load_handlers(["shout"], {"shout": {"forbiden": []}})


def test_without_the_package_there_is_no_such_handler():
    with pytest.raises(ConfigurationError, match="there is no handler shout"):
        load_handlers(["shout"], {})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def make(options): return object()", "is no send2llm.handlers.Handler"),
        ("def make(options): raise OSError('no disk')", "cannot be made: OSError"),
        ("import nothing_of_that_name", "cannot be made: ModuleNotFoundError"),
    ],
)
def test_a_package_that_does_not_work_is_named(tmp_path, monkeypatch, source, words):
    (tmp_path / "broken_handler.py").write_text(source)
    metadata = tmp_path / "broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[send2llm.handlers]\nbroken = broken_handler:make\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_handler", raising=False)
    with pytest.raises(ConfigurationError, match=words):
        load_handlers(["broken"], {})


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["redcat"], {}, "there is no handler redcat. Did you mean redact"),
        (["redact"], {"redcat": {}}, r"\[handler_options.redcat\] is for a handler that .* Did you mean redact"),
        (["redact"], {"redact": {"pattern_seconds": 0}}, r"handler_options\.redact\.pattern_seconds"),
        (["redact"], {"redact": {"patterns": [{"name": "x", "pattern": "("}]}}, "no regular expression"),
        (["redact"], {"redact": {"patterns": [{"name": "Email", "pattern": "x"}]}}, "name is taken"),
        (
            ["redact"],
            {"redact": {"patterns": [{"nam": "x"}]}},
            r"handler_options\.redact\.patterns\.0\.nam is no option",
        ),
        (["redact"], {"redact": {"mask": ["emails"]}}, r"handler_options\.redact\.mask\.0"),
        (["template"], {"template": {"x": 1}}, "is no option"),
        (["normalise", "fit_context"], {"normalise": {"merge": ["user"]}}, "has to stand before MergingNormalise"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_named(names, options, words):
    with pytest.raises(ConfigurationError, match=words):
        load_handlers(names, options)


def test_the_usual_order_works():
    names = ["validate", "normalise", "template", "redact", "fit_context"]
    assert [type(handler).__module__.rpartition(".")[2] for handler in load_handlers(names, {})] == names
