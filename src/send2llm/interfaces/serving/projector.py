"""The projector process: it follows the log, folds it into read models and seals it, until it is told to stop."""

import signal
import threading

from send2llm.bootstrap import build_projector, build_sealer
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
    sealer = build_sealer(settings)
    sealing = threading.Thread(target=sealer.run, args=(stop,), name="log-sealer") if sealer else None
    if sealing is not None:
        sealing.start()
    build_projector(settings).run(stop)
    if sealing is not None:
        sealing.join()


if __name__ == "__main__":
    main()
