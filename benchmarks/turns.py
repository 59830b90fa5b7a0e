"""What a turn of a long conversation costs: the 10th, the 100th and the 1,000th, through the whole service.

Two ways: the own API, where the caller sends what is new with the conversation's id, and OpenAI's chat completions,
where it sends everything that was said with every turn. A provider is sent everything in both. So there are two
figures: the time that the caller waits, in which load and upstream handle the long bodies too, and the processor time
of the worker. What merely reading and writing such bodies costs is measured beside it, in this process, with the very
functions that the service uses: no gateway can do without. The rest is the service's own.

Run: ``python benchmarks/turns.py`` (about half a minute)
"""

import http.client
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

import figures
from machine import settle
from send2llm.infrastructure.formats import openai_chat
from service import KEY, PROVIDER, RunningService, running_service

TURNS = (10, 100, 1_000)
WINDOW = 10
"""So many turns before and after are measured as well; the median counts."""
MODEL = f"{PROVIDER}/instant"
QUESTION = "Tell me more about foxes: what do they do in winter, number {}?"


class Client:
    """One connection to the service."""

    def __init__(self, service: RunningService) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(service.url).netloc)

    def post(self, path: str, body: object) -> Any:
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        self._connection.request("POST", path, orjson.dumps(body), headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{path} answered with {response.status}: {answer.decode()[:300]}")
        return orjson.loads(answer)


def by_conversation(client: Client) -> Callable[[int], None]:
    """The own API: what is new, and where it belongs."""
    conversation = client.post("/api/conversations", {})["id"]

    def turn(number: int) -> None:
        body = {"model": MODEL, "content": QUESTION.format(number)}
        client.post(f"/api/conversations/{conversation}/messages", body)

    return turn


def by_history(client: Client) -> Callable[[int], None]:
    """Chat completions: everything, every time."""
    said: list[dict[str, Any]] = []

    def turn(number: int) -> None:
        said.append({"role": "user", "content": QUESTION.format(number)})
        answer = client.post("/v1/chat/completions", {"model": MODEL, "messages": said})
        message = answer["choices"][0]["message"]
        said.append({"role": "assistant", "content": message["content"]})

    return turn


def measured(service: RunningService, turn: Callable[[int], None]) -> dict[int, tuple[float, float]]:
    """Milliseconds of the turns in ``TURNS``: the caller's, and the worker's on its processor."""
    times: dict[int, list[tuple[float, float]]] = {number: [] for number in TURNS}
    windows = {number + offset: number for number in TURNS for offset in range(-WINDOW + 1, WINDOW)}
    (worker,) = service.groups["worker"]
    for number in range(1, TURNS[-1] + WINDOW):
        began, worked = time.perf_counter(), processor_seconds(worker)
        turn(number)
        took, used = time.perf_counter() - began, processor_seconds(worker) - worked
        if number in windows:
            times[windows[number]].append((took * 1000, used * 1000))
    return {
        number: (statistics.median(took for took, _ in each), statistics.median(used for _, used in each))
        for number, each in times.items()
    }


def processor_seconds(pid: int) -> float:
    """Of another process, in nanoseconds' resolution (``clock_getcpuclockid(3)``); /proc has hundredths only."""
    return time.clock_gettime((~pid << 3) | 2)


def bodies(number: int, *, read: bool) -> float:
    """Milliseconds to write the request of a turn for the provider, and before that to ``read`` it from the caller."""
    said = [
        {"role": "user", "content": QUESTION.format(1)},
        {"role": "assistant", "content": "".join(f"word{word} " for word in range(50))},
    ] * number
    body = orjson.dumps({"model": MODEL, "messages": said[:-1]})
    request = openai_chat.read_request(orjson.loads(body))

    def work() -> None:
        asked = openai_chat.read_request(orjson.loads(body)) if read else request
        orjson.dumps(openai_chat.write_request("instant", asked.messages, asked.parameters), default=dict)

    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1000


def main() -> None:
    given = figures.parser(__doc__).parse_args()
    rows: list[figures.Row] = []
    with running_service() as service:
        for name, way, read in (
            ("own API, by conversation id", by_conversation, False),
            ("/v1/chat/completions, whole history", by_history, True),
        ):
            settle(5.0)
            found = measured(service, way(Client(service)))
            for number, (took, used) in found.items():
                rows.append(
                    {
                        "way": name,
                        "turn": number,
                        "caller_ms": took,
                        "worker_cpu_ms": used,
                        "of_it_bodies_ms": (on_bodies := bodies(number, read=read)),
                        "worker_cpu_times_10th": used / found[TURNS[0]][1],
                        "own_cpu_times_10th": (used - on_bodies) / (found[TURNS[0]][1] - bodies(TURNS[0], read=read)),
                    }
                )
    figures.tell("Turns of one conversation", rows, given.figures)


if __name__ == "__main__":
    main()
