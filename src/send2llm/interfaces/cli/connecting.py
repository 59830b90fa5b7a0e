"""Opens a client of the service, and loads what that needs only then."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import ServiceClient


def connect(url: str) -> "ServiceClient":
    """A client of the service at ``url``, to be used as a context manager."""
    from send2llm.interfaces.cli.client import ServiceClient

    return ServiceClient(url)
