"""A request names a stored prompt, and gives its variables."""

import pytest
from house import House, assistant, user

from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import CompletionRequested
from send2llm.domain.errors import (
    InvalidRequest,
    StaleTemplate,
    TemplateIsRetired,
    TemplateNotFound,
    TemplateVersionNotFound,
)
from send2llm.domain.prompt_template_events import TemplateMessage, TemplateUse
from send2llm.infrastructure.handlers.template import Template
from send2llm.testing.templates import InMemoryTemplates


@pytest.fixture
async def house():
    house = House(handlers=[Template({})])
    await house.template_commands.set(house.context(), "greet", [TemplateMessage("system", "Greet {{name}}.")])
    return house


def using(**prompt):
    return {"parameters": Parameters(extras={"prompt": prompt, "user": "me"})}


def sent(house):
    return [message.text for message in house.provider.calls[-1].messages]


async def test_its_messages_come_first_and_the_record_names_it(house):
    await house.complete(user("Hi"), **using(id="greet", variables={"name": "Ann"}))
    assert sent(house) == ["Greet Ann.", "Hi"]
    assert house.last(CompletionRequested).template == TemplateUse("greet", 1)
    assert house.provider.calls[0].parameters.extras == {"user": "me"}


async def test_a_conversation_goes_on_with_the_same_prompt(house):
    more = using(id="greet", version="1", variables={"name": "Ann"})
    first = await house.complete(user("Hi"), **more)
    await house.template_commands.set(house.context(), "greet", [TemplateMessage("system", "Greet nobody.")])
    told = [user("Hi"), assistant(first.completion.answers[0].message.text), user("And now?")]
    second = await house.complete(*told, **more)
    assert second.conversation_id == first.conversation_id


async def test_the_last_version_is_taken_within_a_second(house):
    await house.complete(**using(id="greet", variables={"name": "Ann"}))
    elsewhere = InMemoryTemplates(house.store, house.clock, house.identifiers)
    template = await elsewhere.load("greet")
    template.add_version([TemplateMessage("system", "Greet nobody.")])
    await elsewhere.save(template, house.context())
    house.clock.advance(1.1)
    await house.complete(**using(id="greet"))
    assert sent(house) == ["Greet nobody.", "Hi"]
    assert house.last(CompletionRequested).template == TemplateUse("greet", 2)


@pytest.mark.parametrize(
    ("prompt", "error", "param"),
    [
        ({"id": "nobody"}, TemplateNotFound, None),
        ({"id": "greet", "version": "7", "variables": {"name": "Ann"}}, TemplateVersionNotFound, None),
        ({"id": "greet", "version": "one"}, InvalidRequest, "prompt.version"),
        ({"id": "greet", "version": 0}, InvalidRequest, "prompt.version"),
        ({"id": 7}, InvalidRequest, "prompt.id"),
        ({}, InvalidRequest, "prompt.id"),
        ({"id": "greet", "variables": ["Ann"]}, InvalidRequest, "prompt.variables"),
        ({"id": "greet", "variables": {}}, InvalidRequest, "prompt.variables"),
        ({"id": "greet", "variables": {"name": 1}}, InvalidRequest, "prompt.variables.name"),
        ({"id": "greet", "values": {}}, InvalidRequest, "prompt.values"),
    ],
)
async def test_what_is_wrong_is_refused_by_name_and_nothing_is_stored(house, prompt, error, param):
    stored = len(house.store.events)
    with pytest.raises(error) as refused:
        await house.complete(**using(**prompt))
    assert getattr(refused.value, "param", None) == param
    assert len(house.store.events) == stored


async def test_what_was_set_here_counts_at_once(house):
    await house.complete(**using(id="greet", variables={"name": "Ann"}))
    await house.template_commands.set(house.context(), "greet", [TemplateMessage("system", "Greet nobody.")])
    await house.complete(**using(id="greet"))
    assert sent(house)[0] == "Greet nobody."


async def test_a_retired_one_is_refused(house):
    await house.template_commands.retire(house.context(), "greet", "old")
    with pytest.raises(TemplateIsRetired):
        await house.complete(**using(id="greet", variables={"name": "Ann"}))


async def test_what_openai_stores_is_left_to_openai(house):
    await house.complete(**using(id="pmpt_123"))
    assert house.provider.calls[0].parameters.extras["prompt"] == {"id": "pmpt_123"}


async def test_all_are_listed_and_who_is_late_decides_anew(house):
    await house.template_commands.set(house.context(), "bye", [TemplateMessage("system", "Bye.")])
    assert [template.name for template in await house.templates.all()] == ["greet", "bye"]
    mine, yours = await house.templates.load("bye"), await house.templates.load("bye")
    mine.retire()
    await house.templates.save(mine, house.context())
    yours.add_version([TemplateMessage("system", "Farewell.")])
    with pytest.raises(StaleTemplate):
        await house.templates.save(yours, house.context())
