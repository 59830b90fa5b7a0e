"""The program around a local model: llama.cpp's HTTP server on loopback, which speaks OpenAI's API.

Run as ``python -m send2llm.infrastructure.local_model.server --model PATH --port N``.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from send2llm.infrastructure.processes import end_with_parent

_HOST = "127.0.0.1"  # and nothing else: it asks nobody for a key
EXIT_WITHOUT_ENGINE = 69  # EX_UNAVAILABLE of sysexits.h
EXIT_WITHOUT_MODEL = 65  # EX_DATAERR of sysexits.h

MOST_TOKENS = 1024
"""Of an answer for which no limit was asked. A model so small may repeat itself until its context is full."""

_QUIET = 2  # llama.cpp's verbosity: errors and warnings


def main() -> int:
    """Serve until SIGTERM, or until the parent is gone."""
    end_with_parent(grace=5.0)
    options = _options()
    finished = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: finished.set())
    try:
        import xllamacpp  # noqa: PLC0415 - an optional extra: its absence is answered below
    except ImportError:
        print("The engine is missing: pip install 'send2llm[local]'", file=sys.stderr)  # noqa: T201 - its own program: this is its log
        return EXIT_WITHOUT_ENGINE
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(options.model)
    parameters.model_alias = {options.name}
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.slots * options.context  # llama.cpp divides it among the slots
    parameters.use_jinja = True
    parameters.hostnames = [_HOST]
    parameters.port = options.port
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = False  # it shows other callers' prompts
    parameters.ui = False
    parameters.cors_origins = ""  # no web page in the user's browser may talk to it
    parameters.verbosity = _QUIET
    parameters.cpuparams.n_threads = options.threads
    # As SmolLM2's model card asks for; with llama.cpp's own 0.8 so small a model soon talks nonsense.
    parameters.sampling.temp = 0.2
    parameters.sampling.top_p = 0.9
    parameters.n_predict = MOST_TOKENS
    try:
        _server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        print(f"{options.model} is not served: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_WITHOUT_MODEL
    finished.wait()
    # Not by taking the server down: that waits, and holds the interpreter, until every answer is written.
    os._exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="send2llm-local-model", description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the weights, a GGUF file")
    parser.add_argument("--name", default="local", help="what the model is called in requests and answers")
    parser.add_argument("--port", type=int, required=True, help="the port on loopback; 0 takes a free one")
    parser.add_argument("--slots", type=int, default=4, help="how many requests are answered at the same time")
    parser.add_argument("--context", type=int, default=4096, help="tokens for each slot, answer included")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for computing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
