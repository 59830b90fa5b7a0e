"""What models are called."""

from send2llm.domain.routing import ModelNames
from send2llm.settings import Settings


def model_names(settings: Settings) -> ModelNames:
    """What callers may call a model."""
    listed = {name: provider.models for name, provider in settings.providers.items()}
    closed = {name for name, provider in settings.providers.items() if provider.only_listed}
    beginnings = {name: provider.models_begin_with for name, provider in settings.providers.items()}
    return ModelNames(listed, settings.routes, settings.default_provider, closed, beginnings)


def known_models(settings: Settings) -> list[tuple[str, str]]:
    """Provider and model of all that are listed."""
    return [(name, model) for name, provider in settings.providers.items() for model in provider.models]
