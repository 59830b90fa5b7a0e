"""What every store of prompt templates does, in memory as in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.application.templates import TemplateCommands, Templates, TemplateShelf
from send2llm.domain.errors import StaleTemplate, StoreUnavailable, TemplateNotFound
from send2llm.domain.prompt_template import PromptTemplate
from send2llm.domain.prompt_template_events import TemplateMessage
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.templates import EventSourcedTemplates
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.system import SystemClock, TimeOrderedIdentifiers
from send2llm.testing.clock import FakeClock
from send2llm.testing.templates import InMemoryTemplates

CONTEXT = Context(correlation_id=UUID(int=1), actor="ann")
HELLO = TemplateMessage("system", "Say hello to {{name}}.")
BYE = TemplateMessage("system", "Say good-bye.")


def commanding(templates: Templates) -> TemplateCommands:
    return TemplateCommands(templates, TemplateShelf(templates, FakeClock()))


@asynccontextmanager
async def in_memory(request: pytest.FixtureRequest) -> AsyncIterator[Templates]:
    yield InMemoryTemplates()


@asynccontextmanager
async def postgresql(request: pytest.FixtureRequest) -> AsyncIterator[Templates]:
    recorder = request.getfixturevalue("recorder")
    database = request.getfixturevalue("database")
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, open=False) as pool:
        codec = EventCodec(EventRegistry.default())
        yield EventSourcedTemplates(recorder, pool, codec, SystemClock(), TimeOrderedIdentifiers())


@pytest.fixture(params=[in_memory, postgresql], ids=lambda make: make.__name__)
async def templates(request: pytest.FixtureRequest) -> AsyncIterator[Templates]:
    async with request.param(request) as templates:
        yield templates


async def test_versions_come_back_as_they_were_set(templates):
    commands = commanding(templates)
    await commands.set(CONTEXT, "greeting", [HELLO])
    await commands.set(CONTEXT, "greeting", [HELLO, BYE])
    await commands.set(CONTEXT, "greeting", [HELLO, BYE])
    template = await templates.load("greeting")
    assert [version.messages for version in template.versions] == [(HELLO,), (HELLO, BYE)]


async def test_what_is_not_there_is_not_found(templates):
    with pytest.raises(TemplateNotFound):
        await templates.load("nobody")
    with pytest.raises(TemplateNotFound):
        await commanding(templates).retire(CONTEXT, "nobody")
    assert await templates.all() == []


async def test_all_are_listed_in_the_order_in_which_they_came(templates):
    commands = commanding(templates)
    for name in ("b", "a", "b", "c"):
        await commands.set(CONTEXT, name, [TemplateMessage("user", f"It is {name}.")])
    await commands.retire(CONTEXT, "a")
    assert [(one.name, one.retired, len(one.versions)) for one in await templates.all()] == [
        ("b", False, 1),
        ("a", True, 1),
        ("c", False, 1),
    ]


async def test_the_second_of_two_who_knew_the_same_is_told(templates):
    first, second = PromptTemplate("greeting"), PromptTemplate("greeting")
    first.add_version([HELLO])
    second.add_version([BYE])
    await templates.save(first, CONTEXT)
    with pytest.raises(StaleTemplate):
        await templates.save(second, CONTEXT)
    await templates.save(first, CONTEXT)  # nothing new
    assert (await templates.load("greeting")).one().messages == (HELLO,)


async def test_a_store_that_is_away_says_so():
    templates = InMemoryTemplates()
    templates.store.available = False
    with pytest.raises(StoreUnavailable):
        await templates.load("greeting")
