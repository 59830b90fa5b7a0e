"""``send2llm serve``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer requests.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; by default ./send2llm.toml.")] = None,
) -> None:
    """Start the service, with its own PostgreSQL and model where none are configured."""
    import os

    from send2llm.interfaces.serving.logs import log_as_set
    from send2llm.interfaces.serving.supervisor import ServiceSupervisor
    from send2llm.settings import CONFIG_VARIABLE, load_settings

    # The workers and the projector read the same settings by themselves, so the options go into the environment.
    options = {"HOST": host, "PORT": port, "WORKERS": workers}
    os.environ.update({f"SEND2LLM_{name}": str(value) for name, value in options.items() if value is not None})
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.resolve())
    settings = load_settings()
    log_as_set(settings)
    supervisor = ServiceSupervisor(settings, announce=lambda line: typer.echo(line, err=True))
    asyncio.run(supervisor.run())
