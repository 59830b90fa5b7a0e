"""The past over HTTP, on the command line and in Python: what was read then is what is read later."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, func, insert, select

from gateway import MODEL, Gateway, Json, serving, settings_for
from send2llm.application.trail import Subject
from send2llm.domain.errors import BudgetNotFound, ConfigurationError, ConversationNotFound, InvalidRequest
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.projections import RecordedEvent, table_name
from send2llm.settings import BudgetSettings, PriceSettings
from send2llm.testing.openai_server import FakeOpenAIServer, Reply
from send2llm.time_travel import TimeTravel

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMAND = Path(sys.executable).with_name("send2llm")
REPORTS = ("/api/costs?by=model", "/api/usage?by=model&by=tenant", "/api/conversations")
PRICES = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
SECRET = "xylophone quartz"


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated: ConnectionInfo, provider_url: str) -> AsyncIterator[Gateway]:
    settings = settings_for(
        migrated, provider_url, prices=PRICES, budgets=BudgetSettings(idle_seconds=0.1, recall_seconds=0.3)
    )
    async with serving(settings) as gateway:
        with gateway.projecting():
            await gateway.history_is_complete()
            yield gateway


async def get(gateway: Gateway, path: str, **query: object) -> Json:
    response = await gateway.api.get(with_query(path, **query))
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def with_query(path: str, **query: object) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"


async def ask(gateway: Gateway, text: str, *, expected: int = 200) -> str:
    """The conversation in which it was asked."""
    messages = [{"role": "user", "content": text}]
    response = await gateway.ask(messages=messages, max_tokens=20)
    assert response.status_code == expected, response.text
    return response.headers["x-send2llm-conversation-id"]


async def head(gateway: Gateway) -> int:
    position: int = (await get(gateway, "/api/events", limit=1))["head"]
    return position


async def told(gateway: Gateway, **query: object) -> list[object]:
    """What the reports say."""
    if not query:
        await gateway.history_is_complete()
    return [(await get(gateway, path, **query))["data"] for path in REPORTS]


async def command(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    environment = {**os.environ, "SEND2LLM_URL": gateway.address, "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def as_json(gateway: Gateway, *arguments: str) -> Json:
    code, output, errors = await command(gateway, *arguments, "--json")
    assert code == 0, errors
    shown: Json = json.loads(output)
    return shown


async def test_reports_read_as_they_did(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    recorded: dict[int, list[object]] = {}
    conversation = await ask(gateway, "the first")
    recorded[await head(gateway)] = await told(gateway)
    provider.script(Reply(status=400, body=b'{"error": {"message": "no"}}'))
    await gateway.ask(max_tokens=20)
    recorded[await head(gateway)] = await told(gateway)
    await gateway.api.post(f"/api/conversations/{conversation}/close")
    recorded[await head(gateway)] = await told(gateway)
    provider.script(Reply.of(SECRET))
    secret = await ask(gateway, SECRET)
    recorded[await head(gateway)] = await told(gateway)
    await ask(gateway, "the last")
    assert len({str(one) for one in recorded.values()}) == 4
    for position, before in recorded.items():
        assert await told(gateway, at=position) == before, position
        assert await told(gateway, at=f"position:{position}") == before, position
        report = await get(gateway, REPORTS[0], at=position)
        assert report["position"] == position
        assert await told(gateway, at=report["as_of"]) == before, position
    assert (await get(gateway, REPORTS[0]))["as_of"] is None
    # On the command line.
    position, (costs, usage, history) = next(iter(recorded.items()))
    assert (await as_json(gateway, "costs", "--by", "model", "--at", str(position)))["data"] == costs
    assert (await as_json(gateway, "usage", "--by", "model", "--by", "tenant", "--at", str(position)))["data"] == usage
    listed = await as_json(gateway, "history", "--at", f"position:{position}")
    assert (listed["data"], listed["position"]) == (history, position)
    _, shown, noted = await command(gateway, "costs", "--at", report["as_of"])
    assert MODEL in shown
    assert f"position {report['position']} of the log" in noted
    # What was erased since is not told again; all else about it is.
    last = max(recorded)
    await gateway.api.post(f"/api/conversations/{secret}/erase")
    then = await told(gateway, at=last)
    assert then[:2] == recorded[last][:2]
    assert SECRET in str(recorded[last][2])
    assert str(then[2]) == str(recorded[last][2]).replace(f"'{SECRET}'", "None")


async def test_a_page_of_the_past_goes_on(gateway: Gateway) -> None:
    for number in range(3):
        await ask(gateway, f"number {number}")
    position = await head(gateway)
    await ask(gateway, "number 0")  # it is the latest now
    page = await get(gateway, "/api/conversations", at=position, limit=2)
    rest = await get(gateway, "/api/conversations", at=position, limit=2, cursor=page["next_cursor"])
    assert [line["title"] for line in page["data"] + rest["data"]] == ["number 2", "number 1", "number 0"]
    assert rest["next_cursor"] is None
    found = await get(gateway, "/api/conversations", at=position, q="number 1")
    assert [line["title"] for line in found["data"]] == ["number 1"]


async def test_conversations_budgets_trail_and_audit_of_a_position(gateway: Gateway) -> None:
    made = (await gateway.api.post("/api/budgets", json={"limit_usd": "5", "period": "total"})).json()["id"]
    conversation = await ask(gateway, "Hello?")
    await gateway.history_is_complete()
    events = (await get(gateway, f"/api/conversations/{conversation}/events"))["data"]
    for event in events:
        by_version = await get(gateway, f"/api/conversations/{conversation}", at=f"version:{event['version']}")
        by_position = await get(gateway, f"/api/conversations/{conversation}", at=f"position:{event['position']}")
        assert by_position == by_version
        assert by_version["position"] == event["position"]
        trail = await get(gateway, "/api/audit/trail", conversation=conversation, at=event["position"])
        assert trail["data"][-1]["position"] == event["position"]
        assert trail["known_to"] == event["position"]
    asked = events[-1]["position"] - 1  # the last of what was stored together with the intent
    for position in (asked, asked + 1):
        audit = await get(gateway, "/api/audit/money", at=position)
        assert (audit["agrees"], audit["position"]) == (True, position), audit["differences"]
    assert (await as_json(gateway, "audit", "money", "--at", str(asked)))["cost_usd"] == "0"
    report = await get(gateway, "/api/budgets", at=asked)
    (then,) = report.pop("data")
    costs = await get(gateway, REPORTS[0], at=asked)
    assert report == {"as_of": costs["as_of"], "position": asked}
    assert {**then, **report} == await get(gateway, f"/api/budgets/{made}", at=asked)
    assert (await get(gateway, "/api/audit/money", at=asked))["as_of"] == report["as_of"]
    for present in ("/api/budgets", f"/api/budgets/{made}", "/api/audit/money"):
        assert (await get(gateway, present))["as_of"] is None
    assert (await as_json(gateway, "budget", "list", "--at", str(asked)))["data"] == [then]
    after = (await get(gateway, f"/api/budgets/{made}", at=asked + 1))["running"]
    assert Decimal(then["running"]["held_usd"]) > Decimal(after["spent_usd"]) > 0
    assert (then["running"]["spent_usd"], after["held_usd"]) == ("0", "0")
    await gateway.api.post(f"/api/budgets/{made}/retire")
    assert (await get(gateway, "/api/budgets"))["data"] == []
    assert (await get(gateway, "/api/budgets", at=asked))["data"] == [then]
    assert (await get(gateway, "/api/budgets", at=1))["data"] != [then]
    shown = await as_json(gateway, "history", conversation, "--at", f"position:{events[1]['position']}")
    assert len(shown["messages"]) == 1


@pytest.mark.parametrize("path", [*REPORTS, "/api/budgets", "/api/audit/money", "/api/audit/trail?actor=tester"])
@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("9" * 20, "The log ends at position"),
        ("position:999999999", "The log ends at position"),
        ("2999-01-01T00:00:00Z", "future"),
        ("soon", "Give a position"),
        ("version:1", "Give a position"),
        ("2026-11-23T12:00:00", "Give a position"),
        ("-1", "Give a position"),
        (":5", "Give a position"),
        ("²", "Give a position"),
    ],
)
async def test_a_moment_that_is_none(shared_gateway: Gateway, path: str, at: str, said: str) -> None:
    response = await shared_gateway.api.get(with_query(path, at=at))
    problem = response.json()
    assert (response.status_code, problem["code"], problem["param"]) == (400, "invalid_request", "at"), response.text
    assert said in problem["detail"]


async def test_before_everything_there_is_nothing_to_report(gateway: Gateway) -> None:
    conversation = await ask(gateway, "Hello?")
    for path in (*REPORTS, "/api/budgets", "/api/audit/money"):
        for at in ("0", "2020-01-01T00:00:00Z"):
            response = await gateway.api.get(with_query(path, at=at))
            assert response.status_code == 400, path
            assert "Nothing had happened by then" in response.json()["detail"]
    for at in ("version:0", "position:0", "2020-01-01T00:00:00Z"):
        assert (await gateway.api.get(f"/api/conversations/{conversation}", params={"at": at})).status_code == 404
    code, _, errors = await command(gateway, "usage", "--at", "2020-01-01")
    assert code == 1
    assert "--at: Nothing had happened by then" in errors
    code, _, errors = await command(gateway, "costs", "--at", "yesterday")
    assert code == 1
    assert "--at: 'yesterday' is no time" in errors
    assert "position:4711" in " ".join(errors.split())


class Starts:
    """A projection of somebody's own, which no service runs: how many conversations were started."""

    name, version = "starts", 1
    topics = frozenset({"conversation.started"})
    tables = MetaData()
    starts = Table(table_name(name, version, "starts"), tables, Column("position", BigInteger, primary_key=True))

    def fold(self, events: list[RecordedEvent], connection: Connection) -> None:
        connection.execute(insert(self.starts), [{"position": event.position} for event in events])


class Misspelt(Starts):
    topics = frozenset({"conversation.startet"})


class InOneText(Starts):
    topics = "conversation.started"


class ForNothing(Starts):
    async def fold(self, events: list[RecordedEvent], connection: Connection) -> None:  # type: ignore[override] # wrong
        """Nothing would ever run it."""


class OfNothing:
    name, version, tables = "nothing", 1, Starts.tables


@pytest.mark.parametrize(
    ("projection", "told"),
    [
        (Misspelt(), "no events of the topic 'conversation.startet'"),
        (InOneText(), "topics are one text"),
        (ForNothing(), "fold is async"),
        (OfNothing(), "no topics, fold"),
    ],
)
async def test_what_no_service_would_run_is_refused(gateway: Gateway, projection: Any, told: str) -> None:
    await ask(gateway, "Hello?")
    async with TimeTravel(gateway.settings) as log:
        then = await log.at(await head(gateway))
        with pytest.raises(ConfigurationError, match=told):
            await then.rows(projection, select(Starts.starts))


async def test_in_python_the_database_is_enough(gateway: Gateway) -> None:
    made = (await gateway.api.post("/api/budgets", json={"limit_usd": "5", "period": "total"})).json()["id"]
    conversation = UUID(await ask(gateway, "Hello?"))
    position, before = await head(gateway), await told(gateway)
    await ask(gateway, "the next")
    async with TimeTravel(gateway.settings) as log:
        then = await log.at(position)
        (cost,) = await then.costs(by=["model"])
        (line,) = before[0]  # type: ignore[misc] # of the list
        assert (cost.group, str(cost.cost_usd)) == ((line["model"],), line["cost_usd"])
        (used,) = await then.usage()
        assert (used.calls, used.answered) == (1, 1)
        (listed,) = (await then.conversations()).conversations
        assert (listed.id, listed.title) == (conversation, "Hello?")
        assert len((await then.conversation(conversation)).conversation.messages) == 2
        assert len((await log.conversation(conversation, version=2)).conversation.messages) == 1
        assert [report.plan.id for report in await then.budgets()] == [UUID(made)]
        assert (await then.budget(UUID(made))).plan.limit == 5
        (entry,) = (await then.explanation(UUID(made), "limit")).entries
        assert (entry.event.topic, entry.amount) == ("budget.period_opened", 5)
        assert (await then.audit_money()).differences == ()
        assert (await then.trail(Subject("conversation", str(conversation)))).events[-1].position <= position
        counted = select(func.count().label("starts")).select_from(Starts.starts)
        assert await then.rows(Starts(), counted) == [[{"starts": 1}]]
        by_time = await log.at(then.moment.time)
        assert asdict((await by_time.costs())[0])["calls"] == 1
        early = await log.at(then.moment.time - timedelta(days=1))
        with pytest.raises(InvalidRequest, match="Nothing had happened"):
            await early.costs()
        with pytest.raises(ConversationNotFound):
            await early.conversation(conversation)
        with pytest.raises(BudgetNotFound):
            await early.budget(UUID(made))
        for when in (-1, 10**9, datetime(2026, 11, 23), then.moment.time + timedelta(days=9)):  # noqa: DTZ001 - refused
            with pytest.raises(InvalidRequest):
                await log.at(when)
        for neither in ("2026", True, 4.0):
            with pytest.raises(InvalidRequest, match="neither a position"):
                await log.at(neither)  # type: ignore[arg-type] # what is refused
        for group in ("nope", "conversation_id"):  # a column of the tables, but no group
            for report in (then.costs, then.usage):
                with pytest.raises(InvalidRequest, match=f"'{group}' is no group; known are provider"):
                    await report(by=[group])
    with pytest.raises(RuntimeError, match="context manager"):
        await log.at(1)
