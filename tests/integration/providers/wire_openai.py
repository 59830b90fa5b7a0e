"""OpenAI's chat completions, for the contract suite."""

from collections.abc import Sequence

import orjson
from subjects import MODEL

from send2llm.domain.completion import Completion
from send2llm.infrastructure.formats.openai_chat import DONE, write_chunk, write_reply
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer, Reply, StreamReply
from send2llm.testing.providers import batches_of


class OpenAIWire:
    format = "openai"
    path = "/v1"

    def server(self) -> FakeOpenAIServer:
        return FakeOpenAIServer(models=(MODEL,))

    def config(self, base_url: str) -> ProviderConfig:
        return ProviderConfig("acme", base_url)

    def expected(self, outcome: Completion) -> Completion:
        return outcome

    def reply(self, outcome: Completion) -> Reply:
        return Reply(orjson.dumps(write_reply(outcome, created=1)))

    def pieces(self, outcome: Completion) -> Sequence[bytes]:
        ids = {"response_id": outcome.response_id, "model": outcome.response_model, "created": 1}
        return [*(write_chunk(delta, **ids) for batch in batches_of(outcome) for delta in batch), DONE]  # type: ignore[arg-type]

    def stream(self, pieces: Sequence[object], *, cut: bool = False) -> StreamReply:
        return StreamReply(pieces, cut)  # type: ignore[arg-type]

    def throttled(self) -> Reply:
        return ErrorReply(429, {"retry-after": "2"})
