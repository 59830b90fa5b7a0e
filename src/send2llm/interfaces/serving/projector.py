"""The projector process: it follows the log, folds, seals and relays it, until it is told to stop."""

import signal
import threading

from send2llm.bootstrap.followers import build_projector, build_relay, build_sealer
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
    beside = {"log-sealer": build_sealer(settings), "relay": build_relay(settings)}
    threads = [
        threading.Thread(target=work.run, args=(stop,), name=name) for name, work in beside.items() if work is not None
    ]
    for thread in threads:
        thread.start()
    build_projector(settings).run(stop)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
