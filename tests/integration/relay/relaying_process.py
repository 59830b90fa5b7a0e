"""A relay in a process of its own, to be killed: ``python relaying_process.py DSN URL``."""

import sys
import threading

from send2llm.bootstrap.followers import build_relay
from send2llm.settings import RelaySettings, Settings

if __name__ == "__main__":
    dsn, url = sys.argv[1:]
    relay = build_relay(Settings(database_url=dsn, relay=RelaySettings(url=url)))
    assert relay is not None
    relay.run(threading.Event())
