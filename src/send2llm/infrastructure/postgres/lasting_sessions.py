"""Parameters for connections that stay open for long and hold something: a lease, a lock, a LISTEN."""

from collections.abc import Mapping
from types import MappingProxyType

LASTING_SESSION: Mapping[str, int] = MappingProxyType(
    {
        "connect_timeout": 5,  # seconds
        # The other side may vanish without a word. These find out within half a minute (system default: two
        # hours).
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds
    }
)

NOTICE_VANISHED_CLIENT = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
"""The same for the server's end of the connection, so that it frees the locks of a client that has
vanished."""
