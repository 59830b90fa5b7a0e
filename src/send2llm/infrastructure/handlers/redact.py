"""``redact``: secrets and personal data leave their places to placeholders, and come back in the answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from send2llm.domain.conversation import EMPTY_TRANSCRIPT
from send2llm.domain.message import transcript_digest
from send2llm.handlers import (
    ConfigurationError,
    Exchange,
    FieldPaths,
    Handler,
    HandlerOptions,
    MakeRewriter,
    Message,
    SendMessage,
)
from send2llm.infrastructure.handlers.redaction.detectors import DETECTORS, Find, phone_numbers
from send2llm.infrastructure.handlers.redaction.own_pattern import OwnPattern
from send2llm.infrastructure.handlers.redaction.redactor import Redactor, placeholders_in
from send2llm.infrastructure.handlers.redaction.restoring import Restoring
from send2llm.infrastructure.handlers.redaction.vault import Vault

Kind = Literal["private_key", "jwt", "api_key", "email", "iban", "credit_card", "ip", "phone"]
EVERY_KIND: tuple[Kind, ...] = ("private_key", "jwt", "api_key", "email", "iban", "credit_card", "ip", "phone")


PREDICTED = "prediction"
"""The field of a request that holds text which the answer is expected to have."""

LONG = 100_000
"""Characters; to look through more takes so long that other calls shall not wait for it."""


class Pattern(BaseModel):
    """A regular expression of one's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    refuse: bool = False


class Options(HandlerOptions):
    """What is looked for, and what becomes of it."""

    mask: tuple[Kind, ...] = EVERY_KIND
    refuse: tuple[Kind, ...] = ()
    """Kinds with which a request is refused, whether they are in ``mask`` or not."""
    phone_region: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = None
    """The country whose telephone numbers are also found without their country code, such as ``DE``."""
    answers: bool = False
    """Whether what assistants said, as the caller tells it, is searched too; see docs/handlers.md."""
    patterns: tuple[Pattern, ...] = Field(default=(), max_length=100)
    pattern_seconds: float = Field(default=0.05, gt=0, le=5)
    """The longest that a pattern may look through one text."""


class Redact(Handler):
    """What is stored and sent has placeholders; what they stand for is known for as long as the call takes."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        chosen = Options.read("redact", options)
        refused = {*chosen.refuse, *(own.name for own in chosen.patterns if own.refuse)}
        self._redactor = Redactor(_detectors(chosen), refused, answers=chosen.answers)

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:
        """The request with placeholders; raises ``SensitiveData``."""
        said = await exchange.said(command)
        if sum(len(message.text) for message in command.messages) > LONG:
            messages, vault = await asyncio.to_thread(self._redacted, command, said, exchange.field_paths)
        else:
            messages, vault = self._redacted(command, said, exchange.field_paths)
        extras = self._redactor.fields(command.parameters.extras, PREDICTED, vault)
        if len(vault):
            exchange.notes[self] = vault
        if extras is not command.parameters.extras:
            command = replace(command, parameters=replace(command.parameters, extras=extras))
        if all(one is other for one, other in zip(messages, command.messages, strict=True)):
            return command
        return replace(command, messages=messages)

    def on_answer(self, exchange: Exchange) -> MakeRewriter | None:
        """Give the originals back, if there are any."""
        vault: Vault | None = exchange.notes.get(self)
        return None if vault is None else lambda kind: Restoring(vault, kind)

    def _redacted(
        self, command: SendMessage, said: Sequence[Message], places: FieldPaths
    ) -> tuple[Sequence[Message], Vault]:
        """A placeholder that is in a conversation already stands for something else than what is new to it.

        But when the caller tells again what was said, the same must come out as then.
        """
        taken = placeholders_in(said)
        if taken:
            told = command.messages
            whole = command.after is None and not command.parts_only and len(told) >= len(said)
            known = len(said) if whole else 0
            attempts = [(said[:known], 0)] if known else []
            if len(told) <= len(said):
                attempts.append((said[-len(told) :], len(said) - len(told)))
            for wanted, before in attempts:
                vault = Vault(placeholders_in(said[:before]))
                messages = self._redactor.redacted(told, vault, places)
                if _digest(messages[: len(wanted)]) == _digest(wanted):
                    return messages, vault
        vault = Vault(taken)
        return self._redactor.redacted(command.messages, vault, places), vault


def _digest(messages: Sequence[Message]) -> bytes:
    digest = EMPTY_TRANSCRIPT
    for message in messages:
        digest = transcript_digest(digest, message)
    return digest


def _detectors(options: Options) -> Mapping[str, Find]:
    """Those that are wanted, in the order in which they count: one's own first."""
    detectors: dict[str, Find] = {}
    for place, own in enumerate(options.patterns):
        if own.name in detectors or own.name.lower() in DETECTORS:
            raise ConfigurationError(f"handler_options.redact.patterns.{place}.name is taken: {own.name}.")
        try:
            detectors[own.name] = OwnPattern(own.name, own.pattern, options.pattern_seconds)
        except ValueError as error:
            raise ConfigurationError(f"handler_options.redact.patterns.{place}.pattern {error}.") from None
    for kind, find in DETECTORS.items():
        if kind in options.mask or kind in options.refuse:
            detectors[kind] = phone_numbers(options.phone_region) if kind == "phone" else find
    return detectors
