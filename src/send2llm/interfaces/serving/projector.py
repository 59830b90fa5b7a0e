"""The projector process: folds events into read models until it is told to stop."""

import signal
import threading

from send2llm.bootstrap import build_projector
from send2llm.infrastructure.processes import end_with_parent
from send2llm.interfaces.serving.logs import log_as_set
from send2llm.settings import load_settings


def main() -> None:
    """What the supervisor starts."""
    end_with_parent()
    settings = load_settings()
    log_as_set(settings)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    build_projector(settings).run(stop)


if __name__ == "__main__":
    main()
