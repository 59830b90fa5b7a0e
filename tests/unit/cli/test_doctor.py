import json

import pytest
from structlog.testing import capture_logs

from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.interfaces.cli import doctor
from send2llm.interfaces.cli.checks import Finding, machine, providers, service
from send2llm.interfaces.cli.checks.database import check_database, check_event_store_environment, check_lock_timeout
from send2llm.interfaces.serving.supervisor import ServiceSupervisor
from send2llm.settings import EncryptionSettings, LocalModelSettings, ProviderSettings, SealSettings, Settings
from send2llm.testing.api import FakeApi


def settings(**changes: object) -> Settings:
    return Settings(**changes)


def test_a_data_folder_that_is_to_be_made_and_one_that_cannot(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    found = list(machine.check_data_folder(folder))
    assert [(one.name, one.verdict) for one in found] == [("data folder", "ok"), ("disk space", "ok")]
    assert "not made yet" in found[0].found
    (tmp_path / "a").write_text("a file where a folder should be")
    (blocked,) = machine.check_data_folder(folder)
    assert blocked.verdict == "fail"
    assert "SEND2LLM_DATA_DIR" in blocked.remedy


@pytest.mark.parametrize(("free", "verdict"), [(1, "fail"), (1024**3, "warn"), (10 * 1024**3, "ok")])
def test_disk_space(tmp_path, monkeypatch, free, verdict):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    _, space = machine.check_data_folder(tmp_path)
    assert space.verdict == verdict


def test_the_local_model(tmp_path, monkeypatch):
    configured = {"openai": ProviderSettings(base_url="http://x/v1")}
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    assert (
        machine.check_local_model(settings(local_model=LocalModelSettings(enabled="never")), tmp_path).verdict == "ok"
    )
    assert machine.check_local_model(settings(providers=configured), tmp_path).verdict == "ok"
    assert "pip install" in machine.check_local_model(settings(), tmp_path).remedy
    monkeypatch.setattr(machine, "find_spec", lambda _: object())
    assert machine.check_local_model(settings(), tmp_path).remedy == "Run: send2llm local fetch"
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF...")
    wanted = settings(local_model=LocalModelSettings(path=own))
    assert machine.check_local_model(wanted, tmp_path) == Finding("local model", "ok", str(own))
    own.write_bytes(b"no model")
    assert machine.check_local_model(wanted, tmp_path).verdict == "fail"


def test_the_message_handlers():
    assert machine.check_handlers(settings()) == Finding("handlers", "ok", "template")
    wrong = machine.check_handlers(settings(handlers=("redcat",)))
    assert (wrong.verdict, "Did you mean redact?" in wrong.found) == ("fail", True)


def test_the_projections():
    found = machine.check_projections(settings())
    assert (found.verdict, found.found) == ("ok", "history, cost_ledger, usage, trail")
    wrong = machine.check_projections(settings(projections=("reports",)))
    assert (wrong.verdict, "no such folder" in wrong.found) == ("fail", True)


def test_the_keys_of_texts(tmp_path):
    at_home = {"data_dir": tmp_path}
    elsewhere = {"database_url": "postgresql://u:p@127.0.0.1:1/db"}
    assert machine.check_encryption(settings(**at_home)).found == "a key is made when the service first starts"
    plain = machine.check_encryption(settings(**elsewhere))
    assert (plain.verdict, plain.found) == ("warn", "texts are stored in plain")
    file = tmp_path / "keys" / "texts.key"
    unmade = machine.check_encryption(settings(**elsewhere, encryption=EncryptionSettings(key_file=file)))
    assert (unmade.found, file.exists()) == (f"{file} (not made yet)", False)
    keys = TextKeys.of_file(tmp_path / "texts.key")
    for known in (
        settings(**at_home),
        settings(**elsewhere, encryption=EncryptionSettings(key_file=tmp_path / "texts.key")),
    ):
        assert machine.check_encryption(known) == Finding(
            "encryption", "ok", f"texts are encrypted, master key {keys.name}"
        )


@pytest.mark.parametrize("written", ["", "a secret", "07" * 31])
def test_what_is_no_key_for_texts(tmp_path, written):
    (tmp_path / "texts.key").write_text(written)
    wrong = machine.check_encryption(settings(data_dir=tmp_path))
    assert (wrong.verdict, "key" in wrong.found) == ("fail", True)
    assert not written or written not in wrong.found


@pytest.mark.parametrize(
    ("mode", "verdict"), [(0o600, "ok"), (0o440, "ok"), (0o644, "warn"), (0o604, "warn"), (0o620, "warn")]
)
def test_key_files_that_others_may_read(tmp_path, mode, verdict):
    """A group may: secrets that are mounted into containers often belong to one."""
    given = settings(data_dir=tmp_path)
    assert machine.check_key_files(given) == Finding("key files", "ok", "for nobody else to read")
    TextKeys.of_file(tmp_path / "texts.key")
    sealing = tmp_path / "sealing.key"
    SealingKey.of_file(sealing)
    assert machine.check_key_files(given).verdict == "ok"
    sealing.chmod(mode)
    found = machine.check_key_files(given)
    assert (found.verdict, str(sealing) in found.remedy) == (verdict, verdict == "warn")
    elsewhere = settings(database_url="postgresql://u:p@127.0.0.1:1/db", seals=SealSettings(key_file=sealing))
    assert machine.check_key_files(elsewhere).verdict == verdict


def test_a_service_warns_of_key_files_that_others_may_read(tmp_path):
    TextKeys.of_file(tmp_path / "texts.key")
    (tmp_path / "texts.key").chmod(0o644)
    with capture_logs() as logs:
        ServiceSupervisor(settings(data_dir=tmp_path))
    assert [(line["event"], line["file"]) for line in logs] == [
        ("key_file.open_to_others", str(tmp_path / "texts.key"))
    ]


def test_a_variable_that_makes_readers_lose_events(monkeypatch):
    assert check_event_store_environment().verdict == "ok"
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "y")
    found = check_event_store_environment()
    assert found.verdict == "fail"
    assert "Remove POSTGRES_ENABLE_DB_FUNCTIONS" in found.found


def test_the_lock_timeout():
    """The writer's own, whatever the settings say: see ``WriterConnection``."""
    assert check_lock_timeout(settings()).found == "5 s, tried again for 10 s"
    assert check_lock_timeout(settings(store_wait_seconds=0.5)).found == "5 s, tried again for 0.5 s"


def test_a_database_that_is_not_there(tmp_path):
    (none_yet,) = check_database(settings(), tmp_path)
    assert (none_yet.verdict, none_yet.remedy) == ("warn", "Start the service: send2llm serve")
    away = "postgresql://me:secret@127.0.0.1:9/send2llm"
    (unreachable,) = check_database(settings(database_url=away), tmp_path)
    assert unreachable.verdict == "fail"
    assert "secret" not in repr(unreachable)
    (nonsense,) = check_database(settings(database_url="what is this"), tmp_path)
    assert nonsense.verdict == "fail"


def test_providers(url, api: FakeApi):
    api.api_key = "right"
    checked = providers.check_providers(
        settings(
            providers={
                "good": ProviderSettings(base_url=f"{url}/v1", api_key="right"),
                "misnamed": ProviderSettings(base_url=f"{url}/v1", api_key="right", models=("unheard-of",)),
                "locked": ProviderSettings(base_url=f"{url}/v1", api_key="wrong"),
                "away": ProviderSettings(base_url="http://127.0.0.1:9/v1"),
            }
        )
    )
    assert [one.verdict for one in checked] == ["ok", "warn", "fail", "fail"]
    assert checked[1].found == "it does not offer unheard-of"
    assert "api_key of [providers.locked]" in checked[2].remedy
    assert "base_url of [providers.away]" in checked[3].remedy
    assert "wrong" not in repr(checked[2])


def test_no_providers():
    assert providers.check_providers(settings())[0].verdict == "ok"
    nobody = settings(local_model=LocalModelSettings(enabled="never"))
    assert "OPENAI_API_KEY" in providers.check_providers(nobody)[0].remedy


def test_the_service(url, api: FakeApi):
    assert [one.verdict for one in service.check_service(url)] == ["ok", "ok"]
    assert [one.verdict for one in service.check_service("http://127.0.0.1:9")] == ["fail"]
    api.unready = {"event_store": "The database is away."}
    assert next(iter(service.check_service(url))).found == "event_store: The database is away."
    api.api_key = "secret"
    assert "SEND2LLM_API_KEY" in list(service.check_service(url))[1].remedy


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"lag_events": 5, "lag_seconds": 0.5}, "ok"),
        ({"lag_events": 5, "lag_seconds": 60.0}, "warn"),
        ({"lag_events": 5, "lag_seconds": None}, "warn"),
        ({"state": "waiting", "lag_events": 1}, "warn"),
        ({"state": "failed", "error": "division by zero"}, "fail"),
    ],
)
def test_projections(url, api: FakeApi, changes, verdict):
    api.projection |= changes
    assert list(service.check_service(url))[1].verdict == verdict


def test_the_relay_is_looked_at_beside_the_projections(url, api: FakeApi):
    api.projection |= {"name": "relay_nats", "role": "relay", "state": "waiting", "lag_events": 7}
    found = list(service.check_service(url))[1]
    assert (found.name, found.verdict) == ("relay_nats", "warn")
    assert found.remedy == "Let one service run with projector = true and relay.url."


def test_says_what_is_wrong_and_exits_accordingly(run, monkeypatch):
    findings = [Finding("one", "ok", "fine"), Finding("two", "warn", "hm", "Look.")]
    monkeypatch.setattr(doctor, "diagnose", lambda _url: iter(findings))
    good = run("doctor")
    assert good.exit_code == 0
    assert [line.split() for line in good.output.splitlines()] == [
        ["ok", "one", "fine"],
        ["warn", "two", "hm"],
        ["->", "Look."],
    ]
    findings.append(Finding("three", "fail", "broken", "Repair it."))
    bad = run("doctor", "--json")
    assert bad.exit_code == 1
    document = json.loads(bad.output)
    assert document["healthy"] is False
    assert document["checks"][2] == {"name": "three", "verdict": "fail", "found": "broken", "remedy": "Repair it."}


def test_wrong_settings_do_not_stop_the_other_checks(run, url, monkeypatch):
    monkeypatch.setenv("SEND2LLM_PROT", "1")
    result = run("doctor", "--json")
    checks = {one["name"]: one for one in json.loads(result.output)["checks"]}
    assert result.exit_code == 1
    assert "SEND2LLM_PORT" in checks["settings"]["found"]
    assert checks["service"]["verdict"] == "ok"
