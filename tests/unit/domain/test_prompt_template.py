import pytest

from send2llm.domain.errors import InvalidRequest, TemplateIsRetired, TemplateNotFound, TemplateVersionNotFound
from send2llm.domain.message import Message, TextPart
from send2llm.domain.prompt_template import PromptTemplate, rendered
from send2llm.domain.prompt_template_events import TemplateMessage, TemplateVariable, TemplateVersionAdded

GREETING = TemplateMessage("system", "Greet {{ name }} in {{count}} words, {{name}}.")
COUNT = TemplateVariable("count", "number")


def made(*messages, variables=()):
    template = PromptTemplate("greeting")
    template.add_version(messages or (GREETING,), variables or (() if messages else (COUNT,)))
    return template


def said(template, **values):
    return [message.text for message in rendered(template.one(), values, "prompt.variables")]


def test_versions_count_up_and_stay():
    template = made()
    template.add_version([TemplateMessage("system", "Say hello.")])
    assert template.one().version == 2
    assert template.one(1).messages == (GREETING,)
    assert template.one(1).variables == (TemplateVariable("name"), COUNT)
    with pytest.raises(TemplateVersionNotFound):
        template.one(3)


def test_the_same_again_is_no_version():
    template = made()
    template.collect()
    template.add_version([GREETING], [COUNT])
    assert template.collect() == (1, [])


def test_a_retired_template_is_of_no_use():
    template = made()
    template.retire()
    template.retire()
    assert template.version == 2
    with pytest.raises(TemplateIsRetired):
        template.usable()
    with pytest.raises(TemplateIsRetired):
        template.add_version([GREETING])
    assert template.one().version == 1


def test_no_events_are_no_template():
    with pytest.raises(TemplateNotFound):
        PromptTemplate.fold("nothing", [])


def test_its_messages_get_values_in_their_places():
    loud = TemplateVariable("loud", "boolean")
    template = made(GREETING, TemplateMessage("user", "\\{{name}} {{loud}}"), variables=(COUNT, loud))
    messages = rendered(template.one(), {"name": "{{count}}", "count": 2, "loud": True}, "p")
    assert messages == (
        Message("system", (TextPart("Greet {{count}} in 2 words, {{count}}."),)),
        Message("user", (TextPart("{{name}} true"),)),
    )


@pytest.mark.parametrize(
    ("values", "param", "words"),
    [
        ({"name": "Ann"}, "prompt.variables", "lacks count"),
        ({"name": "Ann", "count": 1, "x": 1, "y": 2}, "prompt.variables", "has no variable x, y"),
        ({"name": 1, "count": 1}, "prompt.variables.name", "must be a text"),
        ({"name": "Ann", "count": "1"}, "prompt.variables.count", "must be a number"),
        ({"name": "Ann", "count": True}, "prompt.variables.count", "must be a number"),
        ({"name": "Ann", "count": float("nan")}, "prompt.variables.count", "must be a number"),
        ({"name": None, "count": 1}, "prompt.variables.name", "must be a text"),
    ],
)
def test_wrong_values_are_refused_by_name(values, param, words):
    with pytest.raises(InvalidRequest, match=words) as refused:
        said(made(), **values)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("messages", "variables", "param"),
    [
        ([], (), "messages"),
        ([TemplateMessage("system", " ")], (), "messages.0.text"),
        ([TemplateMessage("tool", "x")], (), "messages.0.role"),
        ([GREETING, TemplateMessage("user", "{{two words}}")], (), "messages.1.text"),
        ([TemplateMessage("user", "{{}}")], (), "messages.0.text"),
        ([TemplateMessage("user", "{{open")], (), "messages.0.text"),
        ([GREETING], [TemplateVariable("nobody")], "variables.nobody"),
        ([GREETING], [TemplateVariable("name", "date")], "variables.name"),
    ],
)
def test_what_is_no_template_is_refused(messages, variables, param):
    with pytest.raises(InvalidRequest) as refused:
        PromptTemplate("greeting").add_version(messages, variables)
    assert refused.value.param == param


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "pmpt_123", "a" * 101])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(InvalidRequest) as refused:
        PromptTemplate(name).add_version([GREETING])
    assert refused.value.param == "name"


def test_it_folds_to_the_same_state():
    template = made()
    template.retire("done")
    _, events = template.collect()
    again = PromptTemplate.fold("greeting", events)
    assert (again.versions, again.retired, again.version) == (template.versions, True, 2)
    assert isinstance(events[0], TemplateVersionAdded)
