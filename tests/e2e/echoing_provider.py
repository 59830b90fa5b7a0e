"""A provider in a process of its own: it repeats what the user said, and holds answers back on request.

``python echoing_provider.py`` prints its base URL. A message with "hold" in it is answered when somebody posts to
``/release``; its stream has begun by then. ``/held`` tells how many wait.
"""

import asyncio
import json
import socket
import sys
from collections.abc import MutableMapping
from typing import Any

import uvicorn

from send2llm.testing.openai_server import DONE, FakeOpenAIServer, Reply, StreamReply, completion_chunks, event
from send2llm.testing.provider_server import Behaviour, Receive, RecordedRequest, Send


class EchoingProvider(FakeOpenAIServer):
    """Answers as it is asked to, with nobody in this process to tell it."""

    def __init__(self) -> None:
        super().__init__(models=("parrot",))
        self._released = asyncio.Event()
        self._held = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/release":
            self._released.set()
            self._released = asyncio.Event()
            self._held = 0
        elif scope["type"] != "http" or scope["path"] != "/held":
            await super().__call__(scope, receive, send)
            return
        body = json.dumps(self._held).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def usual(self, request: RecordedRequest) -> Behaviour:
        body = request.json
        text = body["messages"][-1]["content"]
        gate = self._released if "hold" in text else None
        self._held += gate is not None
        answer = f"You said: {text}"
        if not body.get("stream"):
            return Reply.of(answer, gate=gate)
        first, *rest = [event(one) for one in completion_chunks(answer)]
        return StreamReply([first, *([gate] if gate else []), *rest, DONE])


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(EchoingProvider(), lifespan="off", ws="none", log_config=None)
        await uvicorn.Server(config).serve([socket.socket(fileno=listener.detach())])


if __name__ == "__main__":
    asyncio.run(main())
