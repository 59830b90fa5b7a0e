"""One row for each call, folded from raw events in the order of the log."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson

from send2llm.domain.log_seals import RawEvent
from send2llm.domain.money import round_up
from send2llm.infrastructure.analysis.stored_states import moment
from send2llm.infrastructure.analysis.transcripts import (
    MESSAGE_ADDED,
    Transcript,
    Transcripts,
    characters_of,
    is_erased,
)
from send2llm.infrastructure.event_store.topics import EventRegistry, UnknownSchemaVersion

Row = dict[str, Any]
"""A call by the columns of ``schemas.CALLS``; what is missing is null."""

USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "cache_write_1h_input_tokens",
)

_TAKEN = ("temperature", "top_p", "reasoning_effort")
"""Parameters that become columns as they are."""

LARGEST = 2**63 - 1
"""What a column of whole numbers can hold; callers may ask for more tokens."""

PICO_DIGITS = 12

_PREFIX, _STREAM = "conversation.", "conversation-"
REQUESTED, REFUSED = "conversation.completion_requested", "conversation.completion_refused"
ATTEMPT_FAILED = "conversation.attempt_failed"
STATUS = {
    "conversation.completion_received": "received",
    "conversation.completion_failed": "failed",
    "conversation.completion_interrupted": "interrupted",
}

TOPICS = (REQUESTED, REFUSED, ATTEMPT_FAILED, *STATUS)
"""What calls are made of."""

_READ = frozenset({MESSAGE_ADDED, *TOPICS})


class CallRows:
    """Folds events into calls, each given out when it ends.

    ``open`` are the calls that have begun and not ended. ``written_off`` are those that ended because their process
    seemed to be gone: their answers may still come, and then a call is given out a second time, in place of the first.
    Both, by the id of the completion, are all that has to be kept between two runs; both are plain JSON.

    Without ``transcripts`` nothing is looked at that anybody said, and the columns about it are null: then events need
    no texts, and of events only those of ``TOPICS`` matter.
    """

    def __init__(
        self,
        transcripts: Transcripts | None,
        open_calls: Mapping[str, Row] | None = None,
        written_off: Mapping[str, Row] | None = None,
        *,
        digest_key: bytes = b"",
    ) -> None:
        self.open: dict[str, Row] = dict(open_calls or {})
        self.written_off: dict[str, Row] = dict(written_off or {})
        self._transcripts = transcripts
        self._digest_key = digest_key
        self._registry = EventRegistry.default()

    def apply(self, event: RawEvent, meta: Mapping[str, Any], data: Any) -> Row | None:
        """Fold one event; gives the call that it ends. ``UnknownSchemaVersion`` for one from a newer version."""
        if not event.topic.startswith(_PREFIX):
            return None
        data = self._in_todays_words(event.topic, meta, data)
        ended: Row | None = None
        if event.topic == REQUESTED:
            self.open[data["completion_id"]] = self._begun(event, meta, data)
        elif event.topic == ATTEMPT_FAILED:
            self._attempt_failed(data)
        elif event.topic in STATUS:
            ended = self._ended(event, meta, data)
        elif event.topic == REFUSED:
            ended = _refused(event, meta, data)
        if self._transcripts is not None:
            self._transcripts.follow(event.stream, event.version, event.topic, data)
        return ended

    def _in_todays_words(self, topic: str, meta: Mapping[str, Any], data: Any) -> Any:
        if topic not in _READ:
            return data
        stored, known = meta["schema_version"], self._registry.of_topic(topic).version
        if stored > known:
            raise UnknownSchemaVersion(topic, stored, known)
        return data if stored == known else self._registry.upcasts.apply(topic, data, stored, known)

    def _begun(self, event: RawEvent, meta: Mapping[str, Any], data: Any) -> Row:
        parameters = data["parameters"]
        return {
            **_whose(event, meta, data),
            "provider": data["provider"],
            "model": data["model"],
            "streaming": data.get("streaming", False),
            "requested_at": meta["occurred_at"],
            "hold_usd": data.get("hold_usd"),
            "price_version": data.get("price_version"),
            **self._said(event, data),
            "max_output_tokens": min(parameters.get("max_output_tokens") or 0, LARGEST) or None,
            "choices": parameters.get("choices", 1),
            "embedding": parameters.get("embedding") is not None,
            **{name: parameters.get(name) for name in _TAKEN},
        }

    def _said(self, event: RawEvent, data: Any) -> Row:
        if self._transcripts is None:
            return {}
        transcript = self._transcripts.at(event.stream, event.version - 1)
        asked = {} if transcript.erased else _asked(data, transcript, self._digest_key)
        return {"messages": transcript.messages, **asked}

    def _attempt_failed(self, data: Any) -> None:
        call = self.open.get(data["completion_id"])
        if call is None:
            return
        call["failed_attempts_usd"] = str(_usd(call.get("failed_attempts_usd")) + _usd(data.get("cost_usd")))
        following = data.get("next_attempt")
        call["assumed"] = "" if following else data.get("assumed", "")
        if following:
            call.update({name: following.get(name) for name in ("provider", "model", "hold_usd")})

    def _ended(self, event: RawEvent, meta: Mapping[str, Any], data: Any) -> Row | None:
        completion = data["completion_id"]
        begun = self.open.pop(completion, None) or self.written_off.pop(completion, None)
        if begun is None:
            return None
        if data.get("reason") == "process_gone":
            self.written_off[completion] = begun
        failed = _usd(begun.get("failed_attempts_usd"))
        status = STATUS[event.topic]
        cost = Decimal(0) if status == "failed" else _known(data.get("cost_usd"))
        usage = data.get("reported_usage") or data.get("estimated_usage")
        answers = data.get("answers", ())
        return {
            **begun,
            "position": event.position,
            "status": status,
            "provider": data.get("provider") or begun["provider"],
            "model": data.get("model") or begun["model"],
            "requested_at": moment(begun["requested_at"]),
            "ended_at": moment(meta["occurred_at"]),
            "error": data.get("error") or data.get("reason"),
            "attempts": data.get("attempts", 0),
            "duration": data.get("duration"),
            "time_to_first_token": data.get("time_to_first_token"),
            **({} if usage is None else {name: usage.get(name, 0) for name in USAGE}),
            "usage_estimated": None if usage is None else data.get("reported_usage") is None,
            "cost_usd": failed or None if cost is None else cost + failed,
            "failed_attempts_usd": failed,
            "hold_usd": _known(begun["hold_usd"]),
            "assumed": data.get("assumed") or begun.get("assumed") or "",  # of the last attempt alone
            "price_version": data.get("price_version") or begun["price_version"],
            "finish_reason": answers[0]["finish_reason"] if answers else None,
            "response_model": data.get("response_model"),
            "output_characters": self._output_characters(answers, data.get("partial_text", "")),
        }

    def _output_characters(self, answers: Any, partial_text: str) -> int | None:
        if self._transcripts is None or any(is_erased(answer["message"]) for answer in answers):
            return None
        return sum(characters_of(answer["message"]) for answer in answers) or len(partial_text)


def _asked(data: Any, transcript: Transcript, digest_key: bytes) -> Row:
    """What cannot be known of a call once it was erased."""
    parameters = data["parameters"]
    return {
        "input_characters": transcript.characters,
        "request_digest": _digest(digest_key, data["requested_model"], parameters, transcript.digest),
        "tools": len(parameters.get("tools", ())),
        "response_format": (parameters.get("response_format") or {}).get("type"),
    }


def _refused(event: RawEvent, meta: Mapping[str, Any], data: Any) -> Row:
    first: Mapping[str, Any] = next(iter(data["decision"]["candidates"]), {})
    at = moment(meta["occurred_at"])
    return {
        **_whose(event, meta, data),
        "position": event.position,
        "status": "refused",
        "provider": first.get("provider"),
        "model": first.get("model"),
        "requested_at": at,
        "ended_at": at,
        "error": data["error"],
        "attempts": 0,
        "failed_attempts_usd": Decimal(0),
        "cost_usd": Decimal(0),
        "assumed": "",
    }


def _whose(event: RawEvent, meta: Mapping[str, Any], data: Any) -> Row:
    return {
        "conversation": event.stream.removeprefix(_STREAM),
        "completion": data["completion_id"],
        "tenant": meta["tenant"],
        "actor": meta["actor"],
        "correlation_id": meta["correlation_id"],
        "requested_model": data["requested_model"],
    }


def _digest(key: bytes, model: str, parameters: Any, transcript: bytes) -> str:
    """The same for requests that ask the same of the same model, exactly; nobody guesses it without the key."""
    words = orjson.dumps([model, parameters], option=orjson.OPT_SORT_KEYS)
    return blake2b(words + transcript, digest_size=16, key=key).hexdigest()


def _known(amount: str | None) -> Decimal | None:
    return None if amount is None else _usd(amount)


def _usd(amount: str | None) -> Decimal:
    exact = Decimal(amount or 0)
    return exact if amount is None or len(amount.partition(".")[2]) <= PICO_DIGITS else round_up(exact)
