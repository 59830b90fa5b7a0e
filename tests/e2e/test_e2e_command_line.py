"""Starting, and being told why it does not start."""

import json
import socket

import psycopg
from installed import MODEL, Folder

from send2llm.testing.postgres import TestDatabaseServer


def test_without_a_key_it_stays_on_loopback(folder: Folder) -> None:
    refused = folder.run("serve", "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "SEND2LLM_API_KEY" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not folder.processes()


def test_a_port_in_use(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = folder.run("serve", "--port", str(port))
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "SEND2LLM_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not folder.processes()


def test_a_mistake_in_the_configuration(folder: Folder) -> None:
    (folder.path / "send2llm.toml").write_text("[providers.echo]\nbase_urls = 'http://127.0.0.1'\n")
    refused = folder.run("serve")
    assert refused.returncode == 1
    assert "base_url" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_lost_master_key_is_missed_and_not_replaced(folder: Folder) -> None:
    service = folder.serve()
    with service.sdk() as sdk:
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "a secret"}])
    service.stop()
    key = folder.path / "texts.key"
    kept = key.read_bytes()
    key.unlink()

    refused = folder.run("serve")

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("Error: What was said is encrypted under the master key ")
    assert not key.exists()
    assert not folder.processes()
    key.write_bytes(kept)
    folder.serve().stop()


def test_a_database_of_ones_own(folder: Folder, postgres_server: TestDatabaseServer) -> None:
    database = postgres_server.create_database()
    place = {"SEND2LLM_DATABASE_URL": database.dsn}
    refused = folder.run("serve", **place)
    assert refused.returncode == 1
    assert "send2llm migrate" in refused.stderr
    migrated = folder.run("migrate", **place)
    assert migrated.returncode == 0, migrated.stderr

    service = folder.serve(**place)
    with service.sdk() as sdk:
        assert sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    well = folder.run("doctor", "--url", service.url, **place)
    assert well.returncode == 0, well.stdout + well.stderr
    service.stop()
    service.assert_quiet()
    assert not (folder.path / "postgres").exists()
    with psycopg.connect(database.dsn) as connection:
        received = connection.execute(
            "SELECT count(*) FROM stored_events WHERE topic = 'conversation.completion_received'"
        )
        assert received.fetchone() == (1,)
    postgres_server.drop(database)


def test_two_services_on_one_folder_share_what_is_there(folder: Folder) -> None:
    migrated = folder.run("migrate", "--json")
    assert migrated.returncode == 0, migrated.stderr
    assert json.loads(migrated.stdout)["applied"]
    assert json.loads(folder.run("migrate", "--json").stdout) == {"applied": []}
    assert not folder.processes()

    first, second = folder.serve(), folder.serve()
    message = [{"role": "user", "content": "hello"}]
    with first.sdk() as one, second.sdk() as other:
        begun = one.chat.completions.with_raw_response.create(model=MODEL, messages=message)
        answer = begun.parse().choices[0].message.content
        again = [*message, {"role": "assistant", "content": answer}, {"role": "user", "content": "and?"}]
        gone_on = other.chat.completions.with_raw_response.create(model=MODEL, messages=again)
        header = "x-send2llm-conversation-id"
        assert gone_on.headers[header] == begun.headers[header]

        first.stop()
        assert other.chat.completions.create(model=MODEL, messages=message).choices[0].message.content
    well = folder.run("doctor", "--url", second.url)
    assert well.returncode == 0, well.stdout + well.stderr
    second.stop()
    assert not folder.processes()
    first.assert_quiet()
    second.assert_quiet()
    assert len(folder.events("completion_received")) == 3
