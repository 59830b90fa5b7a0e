"""The small local model: its file, the server program around it, and the child process that runs it."""

from send2llm.infrastructure.local_model.local_model import LocalModel
from send2llm.infrastructure.local_model.model_file import DEFAULT_MODEL, fetch, model_path

__all__ = ["DEFAULT_MODEL", "LocalModel", "fetch", "model_path"]
