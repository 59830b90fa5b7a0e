"""Send2LLM: sends messages to language models and remembers everything as events."""

from importlib.metadata import version

__version__ = version("send2llm")
