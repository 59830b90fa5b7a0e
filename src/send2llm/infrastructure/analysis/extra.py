"""What files for analysts need beside the rest of Send2LLM."""

from importlib.util import find_spec

from send2llm.domain.errors import ConfigurationError


def need_pyarrow() -> None:
    """Raise ``ConfigurationError`` where the extra is not installed."""
    if find_spec("pyarrow") is None:
        raise ConfigurationError("Files for analysts need pyarrow: pip install 'send2llm[analysis]'.")
