"""Erasing, and changing the master key, on the command line, before the real service and its database."""

import asyncio
import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from command_line import Said, run_command

from gateway import MODEL, Gateway, serving, settings_for, soon
from send2llm.bootstrap.container import build_service
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.openai_server import FakeOpenAIServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def erase(gateway: Gateway, *arguments: str, stdin: str = "") -> Said:
    return await run_command("erase", *arguments, stdin=stdin, SEND2LLM_URL=gateway.address)


async def told(gateway: Gateway, text: str = "a secret") -> str:
    """A conversation in which that was said."""
    response = await gateway.ask(messages=[{"role": "user", "content": f"{text} {uuid4()}"}])
    conversation: str = response.headers["x-send2llm-conversation-id"]
    return conversation


async def state(gateway: Gateway, conversation: str) -> str:
    return str((await gateway.api.get(f"/api/conversations/{conversation}")).json()["state"])


class TestErase:
    async def test_asks_first(self, gateway: Gateway) -> None:
        conversation = await told(gateway)

        unsure = await erase(gateway, conversation, stdin="n\n")
        silent = await erase(gateway, conversation)
        assert (unsure.exit_code, silent.exit_code, unsure.output.strip()) == (1, 1, "")
        assert f"Erase what was said in the conversation {conversation}? This cannot be undone. [y/N]" in unsure.errors
        assert await state(gateway, conversation) == "open"

        sure = await erase(gateway, conversation, "--reason", "request 4711", stdin="y\n")
        assert (sure.exit_code, sure.output.strip()) == (0, "")
        assert sure.errors.endswith(f"What was said in the conversation {conversation} is erased.\n")
        assert (await gateway.event("conversation.erased")).data == {"reason": "request 4711"}

    async def test_several_at_once(self, gateway: Gateway) -> None:
        conversations = [await told(gateway), await told(gateway)]

        asked = await erase(gateway, *conversations, stdin="y\n")

        assert "Erase what was said in 2 conversations?" in asked.errors
        assert asked.errors.endswith("What was said in 2 conversations is erased.\n")
        assert [await state(gateway, one) for one in conversations] == ["erased", "erased"]

    async def test_ids_come_from_standard_input(self, gateway: Gateway) -> None:
        conversations = [await told(gateway), await told(gateway)]
        ids = f"{conversations[0]}\n  conversation-{conversations[1]}\n\n"  # the second as exports have it

        unasked = await erase(gateway, "-", stdin=ids)
        assert (unasked.exit_code, "add --yes" in unasked.errors) == (2, True)
        assert [await state(gateway, one) for one in conversations] == ["open", "open"]

        done = await erase(gateway, "-", "--yes", "--json", stdin=ids)
        assert done.exit_code == 0, done.errors
        assert [(one["id"], one["state"]) for one in done.json["data"]] == [(one, "erased") for one in conversations]
        assert done.json["refused"] == []

    async def test_no_ids_are_no_mistake(self, gateway: Gateway) -> None:
        nothing = await erase(gateway, "-", "--yes", stdin="\n")
        as_json = await erase(gateway, "-", "--yes", "--json", stdin="")

        assert (nothing.exit_code, nothing.output) == (0, "")
        assert as_json.json == {"data": [], "refused": []}

    async def test_one_that_there_is_not_is_told_and_keeps_no_other(self, gateway: Gateway) -> None:
        conversation, unknown = await told(gateway), str(uuid4())

        both = await erase(gateway, unknown, "nonsense", conversation, "--yes")

        assert (both.exit_code, both.output) == (1, "")
        first, second, last = both.errors.splitlines()
        assert first.startswith("nonsense is not erased: It is not the id of a conversation.")
        assert second.startswith(f"{unknown} is not erased: There is no conversation {unknown}.")
        assert last == f"What was said in the conversation {conversation} is erased."
        as_json = await erase(gateway, unknown, conversation, "--yes", "--json")
        assert as_json.exit_code == 1
        assert [(one["id"], one["code"]) for one in as_json.json["refused"]] == [(unknown, "conversation_not_found")]
        assert [one["id"] for one in as_json.json["data"]] == [conversation]

    async def test_erasing_again_changes_nothing(self, gateway: Gateway) -> None:
        conversation = await told(gateway)

        first, again = [await erase(gateway, conversation, "--yes", "--json") for _ in range(2)]

        assert (first.exit_code, again.exit_code) == (0, 0)
        assert first.json == again.json
        assert len(await gateway.events("conversation.erased")) == 1

    async def test_one_that_waits_for_its_answer_stays(self, gateway: Gateway, provider: FakeOpenAIServer) -> None:
        conversation = await gateway.start_conversation()
        gate = asyncio.Event()
        provider.script(Reply(Reply.of("late").body, gate=gate))
        body = {"model": MODEL, "content": "well?"}
        calling = asyncio.create_task(gateway.api.post(f"/api/conversations/{conversation}/messages", json=body))

        async def asked() -> bool:
            return bool(await gateway.events("conversation.completion_requested"))

        await soon(asked)
        early = await erase(gateway, conversation, "--yes")
        gate.set()
        assert (await calling).status_code == 200

        assert (early.exit_code, "is waiting for an answer" in early.errors) == (1, True)
        assert (await erase(gateway, conversation, "--yes")).exit_code == 0

    async def test_what_is_shown_of_it(self, gateway: Gateway) -> None:
        conversation = await told(gateway)
        await erase(gateway, conversation, "--yes")

        shown = await run_command("history", conversation, SEND2LLM_URL=gateway.address)

        assert shown.output == "user\n[erased]\n\nassistant\n[erased]\n\n"
        assert "· erased ·" in shown.errors

    async def test_without_a_service_the_remedy_is_told(self, nowhere: str) -> None:
        refused = await run_command("erase", str(uuid4()), "--yes", SEND2LLM_URL=nowhere)

        assert (refused.exit_code, "send2llm serve" in refused.errors) == (1, True)


@dataclass
class Vault:
    """A database, and the file with its master keys, as an operator has them."""

    database: ConnectionInfo
    file: Path
    provider_url: str

    def write(self, *keys: str) -> None:
        self.file.write_text("".join(f"{key}\n" for key in keys))

    def settings(self) -> Any:
        return settings_for(self.database, self.provider_url, encryption={"key_file": self.file})

    async def command(self, *arguments: str, **environment: str) -> Said:
        if self.file.exists():
            environment["SEND2LLM_ENCRYPTION__KEY_FILE"] = str(self.file)
        environment["SEND2LLM_DATABASE_URL"] = self.database.dsn
        return await run_command(*arguments, folder=self.file.parent, **environment)

    async def status(self) -> list[tuple[str, int]]:
        """The roles of the master keys, and how many conversations' keys they wrap."""
        shown = await self.command("encryption", "status", "--json")
        assert shown.exit_code == 0, shown.errors
        return [(one["role"], one["conversations"]) for one in shown.json["master_keys"]]


@pytest.fixture
def vault(migrated: ConnectionInfo, tmp_path: Path, provider_url: str) -> Vault:
    return Vault(migrated, tmp_path / "texts.key", provider_url)


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


async def said_in(gateway: Gateway, conversation: str) -> str:
    """What the user said there."""
    shown = (await gateway.api.get(f"/api/conversations/{conversation}")).json()
    return str(shown["messages"][0]["content"])


class TestEncryption:
    async def test_the_master_key_is_changed_as_the_documentation_tells(self, vault: Vault) -> None:
        old, new = new_key(), new_key()
        vault.write(old)
        async with serving(vault.settings()) as service:
            conversation, given_up = await told(service, "first"), await told(service, "gone")
            await erase(service, given_up, "--yes")
        assert await vault.status() == [("current", 1)]

        vault.write(old, new)  # 1.
        async with serving(vault.settings()) as service:
            assert (await said_in(service, conversation)).startswith("first")
        assert await vault.status() == [("current", 1), ("known", 0)]

        vault.write(new, old)  # 2.
        async with serving(vault.settings()) as service:
            later = await told(service, "second")
            assert await vault.status() == [("current", 1), ("known", 1)]
            wrapped = await vault.command("encryption", "rewrap")  # 3., while the service runs
            assert wrapped.exit_code == 0, wrapped.errors
            assert "1 were not before" in wrapped.errors
            assert (await said_in(service, conversation)).startswith("first")
            assert (await vault.command("encryption", "rewrap", "--json")).json["rewrapped"] == 0
        assert await vault.status() == [("current", 2), ("known", 0)]

        vault.write(new)
        async with serving(vault.settings()) as service:
            assert (await said_in(service, conversation)).startswith("first")
            assert (await said_in(service, later)).startswith("second")
            assert await state(service, given_up) == "erased"
            assert (await erase(service, conversation, "--yes")).exit_code == 0
        assert await vault.status() == [("current", 1)]

    async def test_a_key_that_was_thrown_away_too_early_is_missed(self, vault: Vault) -> None:
        """Although most conversations are wrapped by the one that is there."""
        old, new = new_key(), new_key()
        vault.write(old)
        async with serving(vault.settings()) as service:
            first = await told(service)
        vault.write(new, old)
        async with serving(vault.settings()) as service:
            for _ in range(3):
                await told(service)

        vault.write(new)
        assert await vault.status() == [("current", 3), ("missing", 1)]
        wrapped = await vault.command("encryption", "rewrap")
        started = await vault.command("serve", SEND2LLM_PORT="0", SEND2LLM_DATA_DIR=str(vault.file.parent))

        for refused in (wrapped, started):
            assert refused.exit_code == 1
            assert "which this process does not have. Put it into encryption.key_file" in refused.errors
        vault.write(new, old)
        async with serving(vault.settings()) as service:
            assert (await said_in(service, first)).startswith("a secret")

    async def test_no_key_is_made_in_the_place_of_one_that_was_lost(self, vault: Vault) -> None:
        """A new file would be taken for the right one by whoever looks there next."""
        vault.write(new_key())
        async with serving(vault.settings()) as service:
            await told(service)
        vault.file.unlink()
        environment = {"SEND2LLM_ENCRYPTION__KEY_FILE": str(vault.file)}

        started = await vault.command(
            "serve", SEND2LLM_PORT="0", SEND2LLM_DATA_DIR=str(vault.file.parent), **environment
        )
        examined = await vault.command("doctor", "--json", "--url", "http://127.0.0.1:9", **environment)
        shown = await vault.command("encryption", "status", "--json", **environment)

        assert (started.exit_code, "which this process does not have" in started.errors) == (1, True)
        finding = next(one for one in examined.json["checks"] if one["name"] == "keys of texts")
        assert (finding["verdict"], "which this process does not have" in finding["found"]) == ("fail", True)
        assert [one["role"] for one in shown.json["master_keys"]] == ["missing"]
        with pytest.raises(ConfigurationError, match="There is no key file"):
            build_service(vault.settings())
        assert not vault.file.exists()

    async def test_a_key_that_is_lost_is_found(self, vault: Vault) -> None:
        vault.write(new_key())
        async with serving(vault.settings()) as service:
            lost, erased = await told(service), await told(service)
            await told(service)
            await erase(service, erased, "--yes")
            await service.start_conversation()  # nothing is said there
        examined = await vault.command("doctor", "--json", "--url", "http://127.0.0.1:9")
        with psycopg.connect(vault.database.dsn) as connection:
            connection.execute("DELETE FROM conversation_keys WHERE originator_id = %s", [f"conversation-{lost}"])
        again = await vault.command("doctor", "--json", "--url", "http://127.0.0.1:9")
        shown = await vault.command("encryption", "status")
        counted = await vault.command("encryption", "status", "--json")

        findings = [
            next(one for one in told_.json["checks"] if one["name"] == "keys of texts") for told_ in (examined, again)
        ]
        assert [finding["verdict"] for finding in findings] == ["ok", "fail"]
        assert findings[1]["found"] == "conversations whose key is lost, without an erasure: 1"
        assert "whose key is lost, without an erasure: 1. Restore the rows" in shown.errors
        assert counted.json["lost"] == 1

    async def test_its_table_is_for_people(self, vault: Vault) -> None:
        vault.write(new_key())
        async with serving(vault.settings()) as service:
            await told(service)

        shown = await vault.command("encryption", "status")

        head, line = shown.output.splitlines()
        assert head.split() == ["master", "key", "role", "conversations"]
        assert line.split()[1:] == ["current", "1"]

    async def test_without_a_master_key_it_says_so(self, vault: Vault) -> None:
        shown = await vault.command("encryption", "status", "--json")
        told_people = await vault.command("encryption", "status")
        wrapped = await vault.command("encryption", "rewrap")

        assert shown.json == {"encrypts": False, "master_keys": [], "lost": 0}
        assert "Set encryption.key_file" in told_people.errors
        assert (wrapped.exit_code, "set encryption.key_file first" in wrapped.errors) == (1, True)

    async def test_what_is_no_key_is_told_by_its_place(self, vault: Vault) -> None:
        vault.write("too short")

        refused = await vault.command("encryption", "status")

        assert refused.exit_code == 1
        assert str(vault.file) in refused.errors
        assert "32 bytes in base64 or hexadecimal" in refused.errors
