"""Where Send2LLM keeps its data when nobody says otherwise."""

import os
from pathlib import Path

import platformdirs

DATA_DIR_VARIABLE = "SEND2LLM_DATA_DIR"
ROOT_DATA_DIR = Path("/var/lib/send2llm")


def default_data_dir() -> Path:
    """The folder named by ``SEND2LLM_DATA_DIR``, else the user's data folder.

    For root it is ``/var/lib/send2llm``: PostgreSQL refuses to run as root, and the account that it runs as
    instead cannot see into root's home.
    """
    if chosen := os.environ.get(DATA_DIR_VARIABLE):
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    return platformdirs.user_data_path("send2llm", appauthor=False)
