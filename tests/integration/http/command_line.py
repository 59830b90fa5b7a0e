"""The command line as its users run it: a process of its own, beside the service."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from gateway import Gateway

COMMAND = Path(sys.executable).with_name("send2llm")


class Said(NamedTuple):
    """How a command ended, and what it said."""

    exit_code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


async def run_command(*arguments: str, stdin: str = "", folder: Path | None = None, **environment: str) -> Said:
    """Run a command to its end, in a folder without a configuration if there is one."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env={**os.environ, **environment}
    )
    output, errors = await process.communicate(stdin.encode())
    return Said(process.returncode or 0, output.decode(), errors.decode())


async def run(gateway: Gateway, *arguments: str, stdin: str = "", **environment: str) -> Said:
    """Run a command that asks the service, which goes on meanwhile; times are in UTC."""
    return await run_command(*arguments, stdin=stdin, SEND2LLM_URL=gateway.address, TZ="UTC", **environment)
