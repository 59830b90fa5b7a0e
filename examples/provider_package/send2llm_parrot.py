"""Parrots as a provider: the whole adapter of a format that Send2LLM has never heard of.

``POST /speak`` takes ``{"voice", "lines": [{"by", "words"}], "at_most", "bit_by_bit"}`` and gives ``{"words", "heard",
"said"}``, or bit by bit server-sent events ``{"bit"}`` and at last ``{"over", "heard", "said"}``. ``GET /voices`` gives
``{"voices"}``. Anything may be ``{"squawk"}`` instead, which says what went wrong.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from send2llm import providers as s2l

UNDERSTOOD = {"max_output_tokens", "format", "extras"}
NO_WORD_FOR = [field.name for field in fields(s2l.Parameters) if field.name not in UNDERSTOOD]


class Parrot:
    """The dialect: it writes requests and reads answers, and does no input or output."""

    capabilities = s2l.Capabilities(tools=False, images=False, structured_output=False)

    def __init__(self, endpoint: s2l.Endpoint) -> None:
        self._endpoint = endpoint

    def chat(self, call: s2l.ProviderCall, *, stream: bool) -> s2l.WireRequest:
        s2l.refuse_foreign_fields(call.parameters, "parrot")
        s2l.refuse_fields(call.parameters, "parrot", *NO_WORD_FOR)
        for part in (part for message in call.messages for part in message.parts):
            if not isinstance(part, s2l.TextPart):
                raise s2l.refuse_foreign_part(part, "parrot")
        lines = [{"by": message.role, "words": message.text} for message in call.messages]
        limit = call.parameters.max_output_tokens
        return self._endpoint.post(
            "/speak", {"voice": call.model, "lines": lines, "at_most": limit, "bit_by_bit": stream}
        )

    def read_reply(self, body: bytes) -> s2l.Completion:
        piece = read(body)
        message = s2l.Message("assistant", (s2l.TextPart(said(piece, "words", str)),), format="parrot")
        return s2l.Completion((s2l.Answer(message, "stop"),), usage=usage(piece), format="parrot")

    def splitter(self) -> s2l.EventSplitter:
        return s2l.EventSplitter()

    def reader(self) -> "Reader":
        return Reader()

    def list_models(self) -> s2l.WireRequest:
        return self._endpoint.get("/voices")

    def read_models(self, body: bytes) -> Sequence[str]:
        return [str(voice) for voice in said(read(body), "voices", list)]


class Reader:
    """Reads one stream, which is whole when the parrot says that it is over."""

    done = is_whole = False

    def read(self, event: s2l.Event) -> Sequence[s2l.Delta]:
        piece = read(event.data)
        if "over" not in piece:
            return [s2l.Delta(text=said(piece, "bit", str), format="parrot")]
        self.done = self.is_whole = True
        return [s2l.Delta(finish_reason="stop", usage=usage(piece), format="parrot")]


def read(body: bytes) -> dict[str, Any]:
    """The JSON object; raises what ends the call if it is none, or a squawk."""
    try:
        piece = json.loads(body)
    except ValueError:
        piece = None
    if not isinstance(piece, dict):
        raise s2l.MalformedReply("The parrot cannot be understood.")
    if "squawk" in piece:
        raise s2l.ReportedError(piece["squawk"])
    return piece


def said(piece: dict[str, Any], name: str, kind: type) -> Any:
    """A field that has to be there."""
    if not isinstance(piece.get(name), kind):
        raise s2l.MalformedReply(f"The parrot did not say {name}.")
    return piece[name]


def usage(piece: dict[str, Any]) -> s2l.Usage:
    """What it counted."""
    return s2l.Usage(said(piece, "heard", int), said(piece, "said", int))


def parrot_provider(config: s2l.ProviderConfig) -> s2l.Provider:
    """The entry point: from the table in the configuration to the provider."""
    config.options_of()
    return config.over_http(Parrot(s2l.Endpoint(config.require_base_url(), s2l.bearer(config))))
