"""What callers may call a model."""

import pytest

from send2llm.domain.errors import UnknownModel
from send2llm.domain.routing import ModelNames

PROVIDERS = {"openai": ["gpt-4o", "shared"], "local": ["smollm2", "shared"]}


def targets(names, name):
    return [(candidate.provider, candidate.model) for candidate in names.decide(name).candidates]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("openai/gpt-4o", ("openai", "gpt-4o")),
        ("openai/not-listed", ("openai", "not-listed")),
        ("openai/meta/llama", ("openai", "meta/llama")),
        ("smollm2", ("local", "smollm2")),
        ("shared", ("openai", "shared")),
    ],
)
def test_names(name, target):
    decision = ModelNames(PROVIDERS, {}).decide(name)
    assert [(candidate.provider, candidate.model) for candidate in decision.candidates] == [target]
    assert decision.strategy == "named"
    assert decision.candidates[0].why


def test_a_route_has_ranked_candidates():
    names = ModelNames(PROVIDERS, {"cheap": ["local/smollm2", "gpt-4o"]})
    decision = names.decide("cheap")
    assert decision.strategy == "route"
    assert targets(names, "cheap") == [("local", "smollm2"), ("openai", "gpt-4o")]
    assert [candidate.why for candidate in decision.candidates] == [
        "number 1 of the route cheap",
        "number 2 of the route cheap, listed by openai",
    ]


def test_a_route_goes_before_a_model_of_its_name():
    assert targets(ModelNames(PROVIDERS, {"gpt-4o": ["local/smollm2"]}), "gpt-4o") == [("local", "smollm2")]


def test_what_nobody_lists_goes_to_the_default_provider():
    assert targets(ModelNames(PROVIDERS, {}, default="local"), "new-model") == [("local", "new-model")]


def test_a_slash_does_not_make_a_provider():
    names = ModelNames(PROVIDERS, {}, default="local")
    assert targets(names, "meta-llama/Llama-3") == [("local", "meta-llama/Llama-3")]


def test_a_single_provider_is_the_default():
    assert targets(ModelNames({"local": []}, {}), "anything") == [("local", "anything")]


@pytest.mark.parametrize("name", ["unknown", "", "openai/", "nobody/gpt-4o"])
def test_unknown_models_are_refused_with_a_hint(name):
    with pytest.raises(UnknownModel, match="openai, local") as refusal:
        ModelNames(PROVIDERS, {}).decide(name)
    assert refusal.value.param == "model"


def test_without_providers_the_hint_says_how_to_get_one():
    with pytest.raises(UnknownModel, match="OPENAI_API_KEY"):
        ModelNames({}, {}).decide("gpt-4o")
