"""A provider that bills to the last token, and is as unreliable as the worst of them.

It speaks OpenAI's chat completions, with random latency and random lengths up to ``max_tokens``. Its own ledger counts
what it bills, in pico-dollars by model: also for callers that left in the middle (what it had written by then, or on
the toss of a coin the whole answer), for connections that it cut, and for streams that it broke. ``GET /ledger`` tells.

Run: ``python benchmarks/overspend/provider.py --port 0 --seed 1``
"""

import argparse
import asyncio
import json
import random
import re
import socket
from collections import Counter

from aiohttp import web

INPUT_PICO, OUTPUT_PICO = 1_000_000, 20_000_000
"""Pico-dollars a token: 1 and 20 US dollars for a million."""

CALL = re.compile(r"call (\d+)")
SLOWEST_FIRST_TOKEN = 0.3
FAULTS = (("busy", 0.02), ("limited", 0.01), ("cut", 0.02), ("hang", 0.005), ("broken", 0.03))
HANG = 20.0
"""Seconds; longer than any caller waits for a first token."""

USUAL, LEDGER, CHANCE = (web.AppKey(name) for name in ("usual", "ledger", "chance"))


class Ledger:
    """What was billed, and who was seen."""

    def __init__(self) -> None:
        self.billed: Counter[str] = Counter()
        self.seen: Counter[int] = Counter()

    def bill(self, model: str, prompt: int, completion: int) -> None:
        self.billed[model] += prompt * INPUT_PICO + completion * OUTPUT_PICO


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    ledger, chance = request.app[LEDGER], request.app[CHANCE]
    said = body["messages"][-1]["content"]
    call = int(CALL.search(said)[1])
    ledger.seen[call] += 1
    prompt = 8 + sum(len(message["content"].encode()) for message in body["messages"]) // 4
    completion = chance.randint(1, body["max_tokens"])
    fault = next((name for name, share in FAULTS if chance.random() < share), "none")
    await asyncio.sleep(chance.uniform(0.01, SLOWEST_FIRST_TOKEN))
    if fault == "busy":
        return web.json_response({"error": {"message": "busy", "type": "server_error"}}, status=500)
    if fault == "limited":
        return web.json_response({"error": {"message": "slow down", "type": "rate_limit_error"}}, status=429)
    if fault == "hang":
        await asyncio.sleep(HANG)
    if fault == "cut":
        ledger.bill(body["model"], prompt, completion if chance.random() < 0.5 else 0)
        request.transport.abort()
        return web.Response()
    if not body.get("stream"):
        ledger.bill(body["model"], prompt, completion)  # whether or not anybody is left to read it
        return web.json_response(whole(body["model"], call, prompt, completion))
    return await stream(request, body["model"], call, prompt, completion, broken=fault == "broken")


async def stream(
    request: web.Request, model: str, call: int, prompt: int, completion: int, *, broken: bool
) -> web.StreamResponse:
    ledger, chance = request.app[LEDGER], request.app[CHANCE]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    written, breaks_at = 0, completion // 2 if broken else completion + 1
    try:
        await response.prepare(request)
        for number in range(completion):
            if number == breaks_at:
                request.transport.abort()
                raise ConnectionResetError
            text = f"answer {call}" if number == 0 else f" {number}"
            await response.write(chunk(model, {"choices": [choice(text)]}))
            written += 1
            if number % 8 == 0:
                await asyncio.sleep(chance.uniform(0.0, 0.03))
        await response.write(chunk(model, {"choices": [choice("", "stop")]}))
        await response.write(chunk(model, {"choices": [], "usage": usage(prompt, completion)}))
        await response.write(b"data: [DONE]\n\n")
        written = completion
    except (ConnectionError, asyncio.CancelledError):
        if chance.random() < 0.5:
            written = completion
        raise
    finally:
        ledger.bill(model, prompt, written)
    return response


def choice(text: str, finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}


def chunk(model: str, more: dict[str, object]) -> bytes:
    head = {"id": "trial", "object": "chat.completion.chunk", "created": 1, "model": model}
    return b"data: " + json.dumps({**head, **more}).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def whole(model: str, call: int, prompt: int, completion: int) -> dict[str, object]:
    text = f"answer {call}" + "".join(f" {number}" for number in range(1, completion))
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    head = {"id": "trial", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": choices, "usage": usage(prompt, completion)}


async def told(request: web.Request) -> web.Response:
    ledger = request.app[LEDGER]
    return web.json_response({"billed": ledger.billed, "seen": list(ledger.seen)})


def application(seed: int) -> web.Application:
    app = web.Application()
    app[LEDGER], app[CHANCE] = Ledger(), random.Random(seed)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/ledger", told)
    return app


async def main(port: int, seed: int) -> None:
    runner = web.AppRunner(application(seed), handler_cancellation=True, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    await web.SockSite(runner, listener).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.port, arguments.seed))
