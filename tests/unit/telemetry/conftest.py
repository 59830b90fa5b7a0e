"""Logging and reports to try things on."""

import logging
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import structlog
from log_output import LogOutput

from send2llm.application.ports import AttemptReport, CallReport
from send2llm.domain.completion import Usage


@pytest.fixture
def logs() -> Iterator[LogOutput]:
    """Logging that is set up, and undone afterwards: it is global to the process."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    thresholds = {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    showwarning = warnings.showwarning
    output = LogOutput()
    output.configure()
    yield output
    logging.captureWarnings(False)
    warnings.showwarning = showwarning
    root.handlers[:], level = before
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(thresholds.get(name, logging.NOTSET))
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def call() -> Callable[..., CallReport]:
    """Makes a report of a call; whatever is not said is as usual."""

    def make(**changes: Any) -> CallReport:
        usual: dict[str, Any] = {
            "conversation_id": UUID(int=1),
            "completion_id": UUID(int=2),
            "correlation_id": UUID(int=3),
            "tenant": "default",
            "requested_model": "mistral/small",
            "provider": "mistral",
            "model": "small",
            "streaming": False,
            "outcome": "received",
            "duration": 0.5,
            "upstream": 0.498,
            "attempts": 1,
            "usage": Usage(100, 40, 60, 5, 30),
            "cost_usd": Decimal("0.0000012"),
            "finish_reason": "stop",
        }
        return CallReport(**(usual | changes))

    return make


@pytest.fixture
def attempt() -> AttemptReport:
    return AttemptReport(
        correlation_id=UUID(int=3),
        provider="mistral",
        model="small",
        attempt=1,
        error="provider_overloaded",
        retryable=True,
        status=503,
        duration=0.1,
        retry_in=0.25,
    )
