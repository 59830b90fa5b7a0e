"""Price books: what models cost, from the catalogue and from the configuration."""

from send2llm.infrastructure.prices.genai import GenaiPriceBook
from send2llm.infrastructure.prices.overrides import OverridePriceBook

__all__ = ["GenaiPriceBook", "OverridePriceBook"]
