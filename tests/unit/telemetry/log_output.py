"""Catches what is logged."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from send2llm.infrastructure.telemetry.logging import configure_logging


@dataclass
class LogOutput:
    """Log lines, as they would have gone to standard error."""

    stream: io.BytesIO = field(default_factory=io.BytesIO)

    @property
    def raw(self) -> bytes:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.raw.splitlines()]

    def configure(
        self,
        level: str = "debug",
        levels: Mapping[str, str] | None = None,
        *,
        json: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> None:
        configure_logging(level, json, levels, secrets=secrets, stream=self.stream)
