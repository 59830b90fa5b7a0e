"""Names of models on Amazon Bedrock, and what they cost."""

from decimal import Decimal

import pytest

from send2llm.infrastructure.prices.genai import GenaiPriceBook
from send2llm.testing.clock import FakeClock

ARN = "arn:aws:bedrock:eu-west-1:123456789012"


@pytest.fixture
def book() -> GenaiPriceBook:
    return GenaiPriceBook({"bedrock": ""}, FakeClock(), catalogue_ids={"bedrock": "aws"})


@pytest.mark.parametrize(
    ("name", "dollars"),
    [
        ("amazon.nova-pro-v1:0", "0.8"),
        ("eu.amazon.nova-pro-v1:0", "0.8"),
        (f"{ARN}:inference-profile/eu.amazon.nova-pro-v1:0", "0.8"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "0.8"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "0.25"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "3"),
    ],
)
def test_the_price_does_not_depend_on_how_a_model_is_named(book: GenaiPriceBook, name: str, dollars: str) -> None:
    price = book.price("bedrock", name)

    assert price is not None
    assert price.input.usd == Decimal(dollars)


@pytest.mark.parametrize(
    "name",
    [
        "amazon.nova-pro-next-v1:0",
        "eu.amazon.nova-pro-v1:0:24k",
        "mine.amazon.nova-pro-v1:0",
        "us-gov.anthropic.claude-3-haiku-20240307-v1:0",
        "claude-3-haiku-20240307-turbo",
        f"{ARN}:custom-model/amazon.nova-pro-v1:0/abc",
        f"{ARN}:provisioned-model/abc",
        f"{ARN}:application-inference-profile/amazon.nova-pro",
    ],
)
def test_other_models_have_no_known_price(book: GenaiPriceBook, name: str) -> None:
    assert book.price("bedrock", name) is None
