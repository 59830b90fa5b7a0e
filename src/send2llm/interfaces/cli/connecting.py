"""Opens a client of the service, and loads what that needs only then."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import ServiceClient


def connect(url: str, options: Mapping[str, str] | None = None) -> "ServiceClient":
    """A client of the service at ``url``, to be used as a context manager.

    ``options`` says by which option of the command a parameter of the service was given.
    """
    from send2llm.interfaces.cli.client import ServiceClient

    return ServiceClient(url, options)
