"""What a budget is called on the command line, and what is refused rather than taken for something wider."""

import pytest

from send2llm.interfaces.cli.budget_naming import Wanted, read_scope, several, write_scope
from send2llm.interfaces.cli.errors import CommandFailed


@pytest.mark.parametrize(
    ("name", "options", "scope"),
    [
        ("service", {}, {}),
        ("openai", {}, {"provider": "openai"}),
        ("openai/gpt-5", {}, {"provider": "openai", "model": "gpt-5"}),
        ("house/meta/llama", {}, {"provider": "house", "model": "meta/llama"}),
        ("openai", {"tenant": "acme"}, {"provider": "openai", "tenant": "acme"}),
        ("openai", {"actor": "key"}, {"provider": "openai", "actor": "key"}),
    ],
)
def test_a_scope_is_read_as_it_is_written(name, options, scope):
    assert read_scope(name, **options) == scope
    assert write_scope(scope) == " ".join([name, *(f"--{option} {value}" for option, value in options.items())])


@pytest.mark.parametrize("name", ["", "/", "openai/", "/gpt-5", "service/gpt-5"])
def test_half_a_scope_is_none(name):
    with pytest.raises(CommandFailed, match="no scope"):
        read_scope(name)


@pytest.mark.parametrize("option", ["tenant", "actor"])
def test_an_empty_name_does_not_mean_everybody(option):
    with pytest.raises(CommandFailed, match=f"--{option} names nobody"):
        read_scope("openai", **{option: ""})


def test_of_several_each_is_named():
    budgets = [
        {"id": "1", "scope": {"provider": "openai"}, "period": "day", "time_zone": "UTC"},
        {"id": "2", "scope": {"provider": "openai"}, "period": "day", "time_zone": "Asia/Tokyo"},
        {"id": "3", "scope": {"provider": "openai"}, "period": "month", "time_zone": "UTC"},
        {"id": "4", "scope": {}, "period": "day", "time_zone": "UTC"},
    ]
    wanted = Wanted({"provider": "openai"}, "day")
    found = wanted.among(budgets)
    assert [one["id"] for one in found] == ["1", "2"]
    assert str(several(wanted, found, "--zone")) == (
        "2 budgets are for openai (day): 1 (day, UTC), 2 (day, Asia/Tokyo). Name one by --zone."
    )
    assert [one["id"] for one in Wanted({"provider": "openai"}, zone="UTC").among(budgets)] == ["1", "3"]
