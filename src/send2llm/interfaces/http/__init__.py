"""The HTTP interface: OpenAI-compatible under ``/v1``, Send2LLM's own under ``/api``."""
