"""``send2llm doctor``: what is wrong, and what to do about it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from send2llm.domain.errors import ConfigurationError
from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import write_columns, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

if TYPE_CHECKING:
    from send2llm.interfaces.cli.checks import Finding

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="SEND2LLM_URL", help="Address of the service; by default as the settings say."),
]


def doctor(*, as_json: AsJson = False, url: Url = None) -> None:
    """Check settings, data folder, database, providers and the service; exit with 1 if anything fails."""
    findings = []
    for finding in diagnose(url):
        findings.append(finding)
        if not as_json:
            _show(finding)
    healthy = all(finding.verdict != "fail" for finding in findings)
    if as_json:
        write_json({"healthy": healthy, "checks": [asdict(finding) for finding in findings]})
    if not healthy:
        raise typer.Exit(1)


def diagnose(url: str | None = None) -> "Iterator[Finding]":
    """All checks, each as soon as it is done; later ones do not depend on the luck of earlier ones."""
    # The checks load the database driver, the providers and the settings: no other command shall wait for these.
    from send2llm.infrastructure.postgres import default_data_dir
    from send2llm.interfaces.cli.checks import Finding, database, machine, providers, service
    from send2llm.settings import load_settings

    try:
        settings = load_settings()
    except ConfigurationError as error:
        yield Finding("settings", "fail", str(error), "Correct them; the checks that need them are left out.")
        yield from machine.check_data_folder(default_data_dir())
        yield database.check_event_store_environment()
        yield from service.check_service(url or DEFAULT_URL)
        return
    yield Finding("settings", "ok", "valid")
    yield machine.check_handlers(settings)
    yield machine.check_projections(settings)
    yield machine.check_encryption(settings)
    yield machine.check_key_files(settings)
    data_dir = settings.data_dir or default_data_dir()
    yield from machine.check_data_folder(data_dir)
    yield database.check_event_store_environment()
    yield database.check_lock_timeout(settings)
    yield from database.check_database(settings, data_dir)
    yield from providers.check_providers(settings)
    yield machine.check_local_model(settings, data_dir)
    yield from service.check_service(url or _address(settings.host, settings.port))


def _address(host: str, port: int) -> str:
    """Where a service with these settings is reached from the same machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _show(finding: "Finding") -> None:
    write_columns(
        (f"{finding.verdict:<4}", STYLES[finding.verdict]), (f"{finding.name:<18}", "bold"), (finding.found, "")
    )
    if finding.remedy:
        write_columns((f"{'':23}", ""), (f"-> {finding.remedy}", ""))
