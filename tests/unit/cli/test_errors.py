import os
import socket
import subprocess
import sys

import pytest

from send2llm.domain.errors import ConfigurationError
from send2llm.interfaces.cli import main
from send2llm.testing.api import Failure, FakeApi

SEND2LLM = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()"]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_a_service_that_is_not_there(run, free_port):
    result = run("send", "hi", "--url", f"http://127.0.0.1:{free_port}")
    assert result.exit_code == 1
    assert result.output == ""
    assert result.errors == (
        f"Error: No Send2LLM service answers at http://127.0.0.1:{free_port} (connection refused). Start it with "
        "`send2llm serve`, or name another address with --url or SEND2LLM_URL.\n"
    )


@pytest.mark.parametrize("url", ["ftp://example.org", "http://", "http://[::1", "http://host:port"])
def test_an_address_that_is_none(run, url):
    result = run("history", "--url", url)
    assert result.exit_code == 1
    assert "is no address of a service" in result.errors


def test_an_address_without_its_scheme_will_do(run, url):
    assert run("history", "--url", url.removeprefix("http://")).exit_code == 0


def test_the_key_is_taken_from_the_environment(run, api: FakeApi, monkeypatch):
    api.api_key = "secret"
    refused = run("history")
    assert refused.exit_code == 1
    assert "Set SEND2LLM_API_KEY" in refused.errors
    monkeypatch.setenv("SEND2LLM_API_KEY", "secret")
    assert run("history").exit_code == 0


def test_the_service_says_no(run, api: FakeApi):
    api.failures.append(Failure(503, "store_unavailable", "The event store cannot be reached."))
    result = run("send", "hi")
    assert result.exit_code == 1
    assert result.errors == "Error: The event store cannot be reached.\n"
    assert result.output == ""


def test_an_unknown_conversation_leads_to_the_list(run):
    result = run("history", "nowhere")
    assert result.exit_code == 1
    assert "There is no conversation nowhere. `send2llm history` lists the conversations." in result.errors


def test_something_else_that_answers_there(run, url):
    result = run("history", "--url", f"{url}/elsewhere")
    assert result.exit_code == 1
    assert "does not seem to be Send2LLM" in result.errors


def test_a_service_without_models(run, api: FakeApi):
    api.models = ()
    result = run("send", "hi")
    assert result.exit_code == 1
    assert "offers no model" in result.errors
    assert api.conversations == {}


def test_debug_shows_where_an_error_came_from(free_port):
    with pytest.raises(Exception, match="No Send2LLM service answers"):
        main(["--debug", "history", "--url", f"http://127.0.0.1:{free_port}"])


def test_an_unexpected_error_keeps_its_words_to_itself(run, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("the secret prompt")

    monkeypatch.setattr("send2llm.interfaces.cli.history._show_list", fail)
    result = run("history")
    assert result.exit_code == 1
    assert "RuntimeError" in result.errors
    assert "secret" not in result.errors
    assert "Traceback" not in result.errors


def test_of_several_errors_at_once_a_known_one_is_told(run, monkeypatch):
    def fail(*_: object) -> None:
        raise ExceptionGroup("", [RuntimeError("x"), ExceptionGroup("", [ConfigurationError("Set the thing.")])])

    monkeypatch.setattr("send2llm.interfaces.cli.history._show_list", fail)
    assert run("history").errors == "Error: Set the thing.\n"


def test_ctrl_c(run, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("send2llm.interfaces.cli.history._show_list", interrupt)
    result = run("history")
    assert result.exit_code == 130
    assert "Traceback" not in result.errors


def test_a_typing_mistake_is_recognised(run):
    result = run("sned")
    assert result.exit_code == 2
    assert "Did you mean 'send'?" in result.errors


@pytest.mark.parametrize("arguments", [["send", "hi"], ["history"], ["events", "--after", "0", "--json"]])
def test_a_closed_pipe_is_no_drama(run, url, arguments):
    run("send", "something for the history")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*SEND2LLM, *arguments, "--url", url],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom send2llm.interfaces.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    heavy = {"httpx2", "sqlalchemy", "fastapi", "starlette", "psycopg", "eventsourcing", "uvicorn", "aiohttp"}
    for arguments in (["send", "--help"], ["--help"]):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        assert heavy.isdisjoint(ended.stderr.split()), arguments


def test_what_reads_events_waits_for_no_server_and_no_provider():
    """Every ``send2llm replay`` and ``export`` would begin a second later."""
    modules = ("bootstrap.texts", "bootstrap.prices", "bootstrap.models", "infrastructure.analysis.stored_calls")
    imports = "".join(f"import send2llm.{module}\n" for module in modules)
    program = f"import sys\n{imports}print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"alembic", "aiohttp", "fastapi", "punq", "starlette", "uvicorn"}
    assert heavy.isdisjoint(ended.stdout.split())
