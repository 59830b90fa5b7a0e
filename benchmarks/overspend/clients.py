"""The callers of the trial: so many at once, half of them streaming, a fifth of them leaving in the middle."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic

import aiohttp
import orjson

PATIENCE = 150.0
"""Seconds that a caller waits; the services have given up long before."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the plan: what it asks, of which service, when (seconds), and after how long its caller leaves."""

    number: int
    model: str
    service: int
    start: float
    max_tokens: int
    stream: bool
    leaves_after: float | None


@dataclass(slots=True)
class Result:
    """What became of a call: ``answered`` (whole), ``refused``, ``left``, ``error`` (a status), or ``lost``."""

    call: Call
    kind: str
    text: str = ""
    status: int = 0
    seconds: float = 0.0
    at: float = 0.0
    refusal: dict[str, str] = field(default_factory=dict)

    @property
    def committed(self) -> Decimal:
        """Which part of the budget was settled or lent when it refused."""
        limit, left = Decimal(self.refusal["limit_usd"]), Decimal(self.refusal["left_usd"])
        return 1 - left / limit


def plan(
    calls: int, models: Sequence[str], services: int, ramp: float, max_tokens: int, chance: random.Random
) -> list[Call]:
    """The calls, each model's spread over services and time."""
    return [
        Call(
            number=number,
            model=models[number % len(models)],
            service=chance.randrange(services),
            start=chance.uniform(0, ramp),
            max_tokens=max_tokens,
            stream=chance.random() < 0.5,
            leaves_after=chance.uniform(0, 0.5) if chance.random() < 0.2 else None,
        )
        for number in range(calls)
    ]


async def send_all(calls: Sequence[Call], urls: Sequence[str]) -> list[Result]:
    """Send all calls, and wait for the last of them. ``urls`` may change on the way."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    began = monotonic()
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        return await asyncio.gather(*(_send(session, call, urls, began) for call in calls))


async def _send(session: aiohttp.ClientSession, call: Call, urls: Sequence[str], began: float) -> Result:
    await asyncio.sleep(max(0.0, began + call.start - monotonic()))
    sent = monotonic()
    try:
        async with asyncio.timeout(call.leaves_after):
            result = await _ask(session, call, urls[call.service])
    except TimeoutError:
        result = Result(call, "left" if call.leaves_after is not None else "lost")
    except (aiohttp.ClientError, OSError):
        result = Result(call, "lost")
    result.seconds, result.at = monotonic() - sent, monotonic() - began
    return result


async def _ask(session: aiohttp.ClientSession, call: Call, url: str) -> Result:
    body = {
        "model": f"trial/{call.model}",
        "messages": [{"role": "user", "content": f"call {call.number}: say something"}],
        "max_tokens": call.max_tokens,
        "stream": call.stream,
    }
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        content = await response.read()
        if response.status == 429:
            error = orjson.loads(content)["error"]
            if error["code"] == "budget_exceeded":
                return Result(call, "refused", status=429, refusal=error["budget"])
        if response.status != 200:
            return Result(call, "error", status=response.status)
        if call.stream:
            text = _streamed(content)
            return Result(call, "error" if text is None else "answered", text or "", 200)
        return Result(call, "answered", orjson.loads(content)["choices"][0]["message"]["content"], 200)


def _streamed(content: bytes) -> str | None:
    """The text of a whole stream; ``None`` for one that has no end."""
    lines = [line[6:] for line in content.split(b"\n\n") if line.startswith(b"data: ")]
    if not lines or lines[-1] != b"[DONE]":
        return None
    chunks = [orjson.loads(line) for line in lines[:-1]]
    return "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])
