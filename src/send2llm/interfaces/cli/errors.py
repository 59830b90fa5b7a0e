"""What can go wrong for a command, beside the errors of the domain.

Every message is one line that ends with what to do next: ``main`` prints it as it is.
"""

from collections.abc import Mapping
from typing import Any

from send2llm.domain.errors import Send2LLMError


class CommandFailed(Send2LLMError):
    """A command could not do what it was asked to."""

    code = "command_failed"


class ServiceUnreachable(CommandFailed):
    """Nothing listens at the address, or nothing answers in time."""

    code = "service_unreachable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"No Send2LLM service answers at {url} ({reason}). "
            "Start it with `send2llm serve`, or name another address with --url or SEND2LLM_URL."
        )


class ConnectionLost(CommandFailed):
    """The service went away between the question and the end of the answer."""

    code = "connection_lost"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The connection to the service at {url} was lost ({reason}). "
            "`send2llm history` shows what was recorded; `send2llm doctor` looks for the cause."
        )


class ServiceProblem(CommandFailed):
    """The service said no.

    ``problem`` is the stable name of the reason (RFC 9457 with an extension member ``code``), ``status`` the HTTP
    status (0 inside a stream), ``retry_after`` the seconds after which the service wants to be asked again, ``param``
    what is at fault in the service's words.
    """

    code = "service_problem"

    def __init__(
        self, message: str, *, status: int, problem: str = "", retry_after: float | None = None, param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.param = param

    def in_words_of(self, options: Mapping[str, str]) -> "ServiceProblem":
        """The same problem; a message that begins with a parameter's name begins with that of the option instead."""
        option = options.get(self.param) or options.get(self.param.partition(".")[0])
        said = str(self)
        if option is None or not said.startswith(f"{self.param}: "):
            return self
        message = f"{option}: {said.removeprefix(f'{self.param}: ')}"
        return ServiceProblem(
            message, status=self.status, problem=self.problem, retry_after=self.retry_after, param=self.param
        )

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, status: int = 0, retry_after: float | None = None
    ) -> "ServiceProblem":
        """Read an RFC 9457 problem, or an error in OpenAI's shape (``{"error": {...}}``)."""
        error = document.get("error")
        said = error if isinstance(error, Mapping) else document
        status = status or int(said.get("status") or 0)
        problem = str(said.get("code") or "")
        message = str(said.get("detail") or said.get("message") or said.get("title") or f"HTTP {status}")
        if remedy := _remedy(status, problem):
            message = f"{message.rstrip()} {remedy}"
        param = str(said.get("param") or "")
        return cls(message, status=status, problem=problem, retry_after=retry_after, param=param)


def _remedy(status: int, problem: str) -> str:
    if status == 401:
        return "Set SEND2LLM_API_KEY to the key that the service was started with."
    return {
        "conversation_not_found": "`send2llm history` lists the conversations.",
        "model_not_found": "Choose a model with --model.",
        "idempotency_key_reused": "",
    }.get(problem, "")
