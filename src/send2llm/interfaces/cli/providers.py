"""``send2llm providers``: what is there, what is known, and whether it answers."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed, ServiceUnreachable
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, note, show_table, usd, warn, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

CAPABILITIES = ("chat", "streaming", "tools", "images", "structured_output", "embeddings", "count_tokens")

app = typer.Typer(help="Show the providers, or check them.")

Presets = Annotated[bool, typer.Option("--presets", help="Show the providers that are known by name, and their keys.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="A provider, or provider/model; by default all.", show_default=False),
]


@app.callback(invoke_without_command=True)
def providers(
    context: typer.Context, *, presets: Presets = False, as_json: AsJson = False, url: Url = DEFAULT_URL
) -> None:
    """Show the configured providers: what each can, what its models cost, and how it did lately.

    Asks the service; if none runs, shows what the settings here say.
    """
    if context.invoked_subcommand is not None:
        return
    if presets:
        _show_presets(as_json=as_json)
        return
    try:
        with connect(url) as client:
            found = client.get("/api/providers")
    except ServiceUnreachable:
        found = {"data": _from_the_settings()}
        note("No service runs: this is what the settings here say.")
    if as_json:
        write_json(found)
    elif found["data"]:
        _show(found["data"])
    else:
        note("No provider is configured: set OPENAI_API_KEY, or write send2llm.toml. --presets shows what is known.")


@app.command("check")
def check(names: Names = None, *, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Ask every provider for a word or two; exit with 1 if one fails.

    It goes through the service, so that what it costs is recorded, and counts in budgets.
    """
    from send2llm.interfaces.cli.provider_checks import check_provider, targets

    with connect(url) as client:
        asked = list(targets(client, names or []))  # whoever is named wrongly is told before anything is spent
        results = [check_provider(client, provider, model) for provider, model in asked]
    healthy = all(result["ok"] for result in results)
    if as_json:
        write_json({"healthy": healthy, "checks": results})
    else:
        _show_checks(results)
    if not healthy:
        raise typer.Exit(1)


def _from_the_settings() -> list[dict[str, Any]]:
    import asyncio

    from send2llm.interfaces.cli.configured_providers import configured_providers
    from send2llm.settings import load_settings

    return asyncio.run(configured_providers(load_settings()))


def _show(found: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            one["name"],
            one["format"],
            one["base_url"] or "-",
            one["health"]["state"] + (f" ({one['health']['last_error']})" if one["health"]["last_error"] else ""),
            _said(one["capabilities"]),
            ", ".join(f"{model['name']} {_price(model['price'])}" for model in one["models"]) or "any",
        )
        for one in found
    ]
    columns = ("name", "format", "address", "lately", "can", "models (USD for a million tokens in/out)")
    show_table(columns, rows, flexible=columns[-1], dispensable=("can", "address"))


def _said(capabilities: dict[str, bool | None]) -> str:
    """What it can; with a question mark what its format does not say."""
    return " ".join(
        f"{name}{'' if capabilities[name] else '?'}" for name in CAPABILITIES if capabilities[name] is not False
    )


def _price(price: dict[str, Any] | None) -> str:
    return "(no known price)" if price is None else f"({usd(price['input_usd'])}/{usd(price['output_usd'])})"


def _show_presets(*, as_json: bool) -> None:
    from send2llm.infrastructure.providers.presets import PRESETS

    known = [
        {
            "name": name,
            "format": preset.format,
            "base_url": preset.base_url,
            "key_variable": preset.key_variable,
            "automatic": preset.automatic,
            "documentation": preset.documentation,
        }
        for name, preset in PRESETS.items()
    ]
    if as_json:
        write_json({"data": known})
        return
    rows = [
        (
            str(one["name"]),
            str(one["format"]),
            str(one["key_variable"] or "-"),
            str(one["base_url"] or "yours"),
            str(one["documentation"]),
        )
        for one in known
    ]
    show_table(("name", "format", "key", "address", "documentation"), rows, flexible="documentation")


def _show_checks(results: Sequence[dict[str, Any]]) -> None:
    if not results:
        raise CommandFailed("No provider is configured: set OPENAI_API_KEY, or write send2llm.toml.")
    rows = [
        (
            "ok" if one["ok"] else "FAILED",
            one["provider"],
            one["model"] or "-",
            f"{one['seconds']:.2f} s" if one["seconds"] is not None else "-",
            count(one["input_tokens"]),
            count(one["output_tokens"]),
            usd(one["cost_usd"]) if one["ok"] else "-",
        )
        for one in results
    ]
    numbers = ("time", "input", "output", "cost")
    show_table(("", "provider", "model", *numbers), rows, flexible="model", right=numbers)
    for one in results:
        if one["error"]:
            warn(f"{one['provider']}: {one['error']}")
